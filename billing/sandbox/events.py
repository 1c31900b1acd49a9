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
from dataclasses import dataclass
from typing import Any

from billing.sandbox.store import Document, Store, new_id

logger = logging.getLogger(__name__)

API_VERSION = "2026-10-28.endive"
# Seconds between tries; Stripe retries for days, here the last wait repeats until the endpoint is back.
BACK_OFF = (1, 2, 5, 15, 60, 300)


@dataclass(frozen=True)
class Endpoint:
    url: str
    secret: str


class Events:
    """Records events in the transaction of what they tell of; a thread delivers them afterwards."""

    def __init__(self, store: Store, endpoint: Endpoint | None) -> None:
        self._store = store
        self._endpoint = endpoint
        self._news = threading.Event()
        self._is_stopping = False

    def emit(self, kind: str, document: Document, *, previous: Document | None = None) -> Document:
        data: dict[str, Any] = {"object": document}
        if previous is not None:
            data["previous_attributes"] = previous
        event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self._store.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 1 if self._endpoint else 0,
            "request": {"id": new_id("req"), "idempotency_key": None},
            "type": kind,
        }
        event = self._store.insert(event)
        if self._endpoint:
            self._store.execute(
                "INSERT INTO delivery (event, endpoint, due) VALUES (?, ?, ?)",
                event["id"],
                self._endpoint.url,
                time.time(),
            )
            self._news.set()
        return event

    def start(self) -> None:
        if self._endpoint:
            threading.Thread(target=self._deliver_for_ever, name="webhooks", daemon=True).start()

    def stop(self) -> None:
        self._is_stopping = True
        self._news.set()

    def _deliver_for_ever(self) -> None:
        while not self._is_stopping:
            self._news.clear()
            due = self._store.execute(
                "SELECT id, event, attempts FROM delivery WHERE done = 0 AND due <= ? ORDER BY id LIMIT 50", time.time()
            )
            for delivery, event_id, attempts in due:
                self._deliver(delivery, event_id, attempts)
            if not due:
                self._news.wait(0.5)

    def _deliver(self, delivery: int, event_id: str, attempts: int) -> None:
        event = self._store.get("event", event_id)
        if self._post(json.dumps(event).encode()):
            self._store.execute("UPDATE delivery SET done = 1, attempts = attempts + 1 WHERE id = ?", delivery)
            self._store.save({**event, "pending_webhooks": 0})
            return
        wait = BACK_OFF[min(attempts, len(BACK_OFF) - 1)]
        self._store.execute(
            "UPDATE delivery SET attempts = attempts + 1, due = ? WHERE id = ?", time.time() + wait, delivery
        )

    def _post(self, body: bytes) -> bool:
        assert self._endpoint is not None  # noqa: S101 - the thread runs only with one
        headers = {"Content-Type": "application/json", "Stripe-Signature": signature(body, self._endpoint.secret)}
        request = urllib.request.Request(self._endpoint.url, data=body, headers=headers)  # noqa: S310 - the operator's own
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return 200 <= int(answer.status) < 300
        except (urllib.error.URLError, OSError, ValueError) as error:
            logger.info("Webhook not taken: %s", error)
            return False


def signature(body: bytes, secret: str, *, at: int | None = None) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over `timestamp.body`, made anew for every attempt."""
    timestamp = at if at is not None else int(time.time())
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
