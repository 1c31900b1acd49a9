"""What happened: events, and their signed delivery to the registered endpoint until it answers 2xx."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from billing.sandbox import thin
from billing.sandbox.errors import missing
from billing.sandbox.faults import Fault, Faults
from billing.sandbox.store import Document, Store, new_id

logger = logging.getLogger(__name__)

API_VERSION = "2026-10-28.endive"
DESTINATION = "v2.core.event_destination"
ENDPOINT = "webhook_endpoint"
# Seconds between tries; Stripe retries for days, here the last wait repeats until the endpoint is back.
BACK_OFF = (1, 2, 5, 15, 60, 300)


HORIZON_SECONDS = 30 * 86_400


@dataclass(frozen=True)
class Cause:
    """The request that an event comes of; of time alone when it has no id."""

    request_id: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where webhooks go. While a secret is rolled there are two, and each signs."""

    url: str
    secret: str
    old_secret: str = ""
    is_thin: bool = False
    # How its deliveries are told from others'; its address unless it is an event destination.
    key: str = ""
    types: tuple[str, ...] = ("*",)
    # The version of the API that its events are written in; the account's when it has pinned none.
    version: str = ""

    def wants(self, kind: str) -> bool:
        """Whether events of a type go there; destinations for thin events name them with `v1.` before."""
        if not self.is_thin and kind.startswith(("v1.", "v2.")):
            return False  # such events come thin only
        return "*" in self.types or (thin.type_of({"type": kind}) if self.is_thin else kind) in self.types

    @property
    def secrets(self) -> list[str]:
        return [secret for secret in (self.secret, self.old_secret) if secret]


class Events:
    """Records events in the transaction of what they tell of; a thread delivers them afterwards."""

    def __init__(self, store: Store, endpoint: Endpoint | None, faults: Faults | None = None) -> None:
        self._store = store
        self._faults = faults or Faults()
        # Deliveries that wait for the one that follows them.
        self._held: list[int] = []
        self._endpoint = endpoint
        self._news = threading.Event()
        self._cause = Cause()
        # Asked after every event: what comes of it.
        self.listeners: list[Callable[[str, Document], None]] = []
        self._is_stopping = False

    def emit(
        self,
        kind: str,
        document: Document,
        *,
        previous: Document | None = None,
        to: list[Endpoint] | None = None,
        thin_data: Document | None = None,
    ) -> Document:
        """Record that it happened. `to` says who alone hears of it, `thin_data` what a thin event tells by itself."""
        data: dict[str, Any] = {"object": document}
        if previous is not None:
            data["previous_attributes"] = previous
        event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": self._store.setting("api_version", API_VERSION),
            "created": self._store.accounts_now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": len(self._ways(kind) if to is None else to),
            "request": {"id": self._cause.request_id, "idempotency_key": self._cause.idempotency_key},
            "type": kind,
            **({"thin_data": thin_data} if thin_data else {}),
        }
        event = self._store.insert(event)
        self.send(event, to=to)
        for hear in self.listeners:
            hear(kind, document)
        return event

    @contextmanager
    def caused_by(self, cause: Cause) -> Iterator[None]:
        """Events inside say that they come of this. Use it inside a transaction of the store."""
        before, self._cause = self._cause, cause
        try:
            yield
        finally:
            self._cause = before

    def horizon(self) -> int:
        """Events from before this moment are told to nobody any more."""
        return self._store.accounts_now() - HORIZON_SECONDS

    def find(self, event_id: str) -> Document:
        """Raises Stripe's `resource_missing`, for an old event too."""
        event = self._store.get("event", event_id)
        if event["created"] < self.horizon():
            raise missing("event", event_id)
        return event

    def before_last_change(self, document: Document) -> Document:
        """What somebody knows who has not heard of the last change. Raises `resource_missing` if that made it."""
        object_id = document.get("id")
        events = self._store.all("event", lambda one: one["data"]["object"].get("id") == object_id)
        if not object_id or not events:
            return document
        previous = events[0]["data"].get("previous_attributes")
        if previous is None and events[0]["type"].endswith(".created"):
            raise missing(document["object"], object_id)
        return {**document, **(previous or {})}

    def ping(self, destination: Document) -> Document:
        """An event that only this destination gets, whatever it wants to hear."""
        return self.emit("v2.core.event_destination.ping", destination, to=[self._way_to(destination)])

    def send(self, event: Document, *, to: list[Endpoint] | None = None) -> None:
        """Have it delivered, though it may have been before."""
        for way in self._ways(event["type"]) if to is None else to:
            row = (event["id"], way.key or way.url, time.time())
            self._store.execute("INSERT INTO delivery (event, endpoint, due) VALUES (?, ?, ?)", *row)
            self._news.set()

    def _ways(self, kind: str) -> list[Endpoint]:
        """All that events of this type go to: the endpoint of the environment, and the enabled destinations."""
        found = [self._endpoint] if self._endpoint else []
        for owner in (DESTINATION, ENDPOINT):
            found += [self._way_to(one) for one in self._store.all(owner, lambda one: one["status"] == "enabled")]
        return [way for way in found if way.wants(kind)]

    def _way_to(self, owner: Document) -> Endpoint:
        kept = self._store.get("way_to_destination", f"way_{owner['id']}")
        is_rolling = kept.get("old_until", 0) > self._store.accounts_now()
        return Endpoint(
            kept["url"],
            kept["secret"],
            kept["old_secret"] if is_rolling else "",
            is_thin=owner.get("event_payload") == "thin",
            key=owner["id"],
            types=tuple(owner["enabled_events"]),
            version=owner.get("api_version") or owner.get("snapshot_api_version") or "",
        )

    def _way_of(self, key: str) -> Endpoint | None:
        """Where a delivery goes; None when its destination has gone."""
        if owner := self._store.find_any(key):
            return self._way_to(owner)
        return self._endpoint if self._endpoint and not key.startswith(("ed_", "we_")) else None

    def roll_secret(self, secret: str, *, is_old_valid: bool) -> None:
        """Sign with another secret from now on, and with the old one too while that holds."""
        if self._endpoint:
            old = self._endpoint.secret if is_old_valid else ""
            self._endpoint = replace(self._endpoint, secret=secret, old_secret=old)

    def start(self) -> None:
        threading.Thread(target=self._deliver_for_ever, name="webhooks", daemon=True).start()

    def stop(self) -> None:
        self._is_stopping = True
        self._news.set()

    def _deliver_for_ever(self) -> None:
        while not self._is_stopping:
            self._news.clear()
            due = self._store.execute(
                "SELECT id, event, endpoint, attempts FROM delivery WHERE done = 0 AND due <= ? ORDER BY id LIMIT 50",
                time.time(),
            )
            for delivery, event_id, key, attempts in due:
                if way := self._way_of(key):
                    self._deliver(delivery, event_id, way, attempts)
                else:
                    self._store.execute("UPDATE delivery SET done = 1 WHERE id = ?", delivery)
            if not due:
                self._news.wait(0.5)

    def _deliver(self, delivery: int, event_id: str, way: Endpoint, attempts: int) -> None:
        event = self._store.find("event", event_id)
        if event is None:  # forgotten meanwhile
            return
        fault = None if delivery in self._held else self._faults.of_webhook(event["type"])
        kind = fault.kind if fault else ""
        if fault and kind in ("delay", "reorder"):
            self._put_off(delivery, fault.seconds)
            if kind == "reorder":
                self._held.append(delivery)
            return
        if kind == "drop":
            self._store.execute("UPDATE delivery SET done = 1 WHERE id = ?", delivery)
            return
        is_taken = self._post(event, way, fault)
        if kind == "duplicate":
            is_taken = self._post(event, way, None) or is_taken
        if not is_taken:
            self._put_off(delivery, BACK_OFF[min(attempts, len(BACK_OFF) - 1)], attempts=attempts + 1)
            return
        self._store.execute("UPDATE delivery SET done = 1, attempts = attempts + 1 WHERE id = ?", delivery)
        self._store.save({**event, "pending_webhooks": max(0, event["pending_webhooks"] - 1)})
        self._release(delivery)

    def _put_off(self, delivery: int, seconds: float, *, attempts: int = 0) -> None:
        due = time.time() + seconds
        self._store.execute("UPDATE delivery SET attempts = ?, due = ? WHERE id = ?", attempts, due, delivery)

    def _release(self, delivered: int) -> None:
        """What was held back until another one had gone goes now."""
        if delivered in self._held:
            self._held.remove(delivered)
            return
        for delivery in self._held:
            self._store.execute("UPDATE delivery SET due = 0 WHERE id = ?", delivery)

    def _post(self, event: Document, way: Endpoint, fault: Fault | None) -> bool:
        told = (
            thin.notification(event) if way.is_thin else {**event, "api_version": way.version or event["api_version"]}
        )
        body, header = _signed(told, way.secrets, fault, now=self._store.wall_clock())
        headers = {"Content-Type": "application/json", "Stripe-Signature": header}
        request = urllib.request.Request(way.url, data=body, headers=headers)  # noqa: S310 - the operator's own
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return 200 <= int(answer.status) < 300
        except (urllib.error.URLError, OSError, ValueError) as error:
            logger.info("Webhook not taken: %s", error)
            return False


def _signed(event: Document, secrets: list[str], fault: Fault | None, *, now: int) -> tuple[bytes, str]:
    """The body and its signature, with what the fault does to them."""
    kind = fault.kind if fault else ""
    if kind == "other_version" and "api_version" in event:
        event = {**event, "api_version": "2020-08-27"}
    body = json.dumps(event).encode()
    away = int(fault.seconds) if fault else 0
    at = {"stale_timestamp": now - away, "future_timestamp": now + away}.get(kind, now)
    header = signature(body, *(["whsec_of_somebody_else"] if kind == "wrong_secret" else secrets), at=at)
    return (body.replace(b'"livemode": false', b'"livemode":  true', 1) if kind == "tamper" else body), header


def signature(body: bytes, *secrets: str, at: int | None = None) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over `timestamp.body` by each secret, made anew for every attempt."""
    timestamp = at if at is not None else int(time.time())
    signed = f"{timestamp}.".encode() + body
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={digest}" for digest in digests)])
