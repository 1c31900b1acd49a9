"""Event destinations (API v2): further addresses that events go to, thin or as snapshots, each with its own secret."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.events import API_VERSION, DESTINATION
from billing.sandbox.params import Params
from billing.sandbox.resources import ways
from billing.sandbox.store import Document, new_id
from billing.sandbox.thin import full, snapshot_id, time_of, type_of

_SECRET, _URL = "webhook_endpoint.signing_secret", "webhook_endpoint.url"


def create(account: Account, params: Params) -> Document:
    """A webhook endpoint; its secret is told now, when `include` asks for it, and never again."""
    p.known(
        params, "name", "type", "event_payload", "enabled_events", "description", "webhook_endpoint", "include",
        "metadata", "snapshot_api_version", "events_from",
    )  # fmt: skip
    if params.get("type") != "webhook_endpoint":
        raise invalid("Here events go to webhook endpoints only.", param="type")
    payload = p.required(params, "event_payload")
    if payload not in ("thin", "snapshot"):
        raise invalid("event_payload must be thin or snapshot.", param="event_payload")
    url = ways.checked_url(p.required(p.required(params, "webhook_endpoint"), "url"))
    now = time_of(account.now())
    destination = {
        "id": new_id("ed_test"),
        "object": DESTINATION,
        "amazon_eventbridge": None,
        "azure_event_grid": None,
        "created": now,
        "description": params.get("description") or "",
        "enabled_events": p.required(params, "enabled_events"),
        "event_payload": payload,
        "events_from": ["@self"],
        "livemode": False,
        "metadata": params.get("metadata") or {},
        "name": p.required(params, "name"),
        "snapshot_api_version": API_VERSION if payload == "snapshot" else None,
        "status": "enabled",
        "status_details": None,
        "type": "webhook_endpoint",
        "updated": now,
        "webhook_endpoint": {"signing_secret": None, "url": None},  # a field's name  # nosec B105
    }
    kept = ways.open_to(account, destination["id"], url)
    return _told(account.store.insert(destination), kept, params, may_tell_secret=True)


def _told(destination: Document, kept: Document, params: Params, *, may_tell_secret: bool = False) -> Document:
    wanted = params.get("include") or []
    secret = kept["secret"] if may_tell_secret and _SECRET in wanted else None
    way = {"signing_secret": secret, "url": kept["url"] if _URL in wanted else None}
    return {**destination, "webhook_endpoint": way}


def retrieve(account: Account, params: Params, destination_id: str) -> Document:
    p.known(params, "include")
    kept = ways.of(account, destination_id)
    return _told(account.store.get(DESTINATION, destination_id), kept, params)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "include", "limit")
    found = account.store.all(DESTINATION)
    return {"data": [retrieve(account, {}, one["id"]) for one in found], **_ONE_PAGE}


def update(account: Account, params: Params, destination_id: str) -> Document:
    p.known(params, "name", "description", "enabled_events", "metadata", "webhook_endpoint", "include")
    destination = account.store.get(DESTINATION, destination_id)
    changes: Document = {name: params[name] for name in ("name", "description", "enabled_events") if name in params}
    changes["metadata"] = p.merged(destination["metadata"], params.get("metadata"))
    if url := (params.get("webhook_endpoint") or {}).get("url"):
        ways.lead_to(account, destination_id, ways.checked_url(url))
    account.update(destination, **changes, updated=time_of(account.now()))
    return retrieve(account, {"include": params.get("include")}, destination_id)


def ping(account: Account, params: Params, destination_id: str) -> Document:
    """Send it an event, to see whether it arrives."""
    p.known(params)
    destination = account.store.get(DESTINATION, destination_id)
    return full(account.events.ping(destination))


def disable(account: Account, params: Params, destination_id: str) -> Document:
    return _switch(account, params, destination_id, "disabled")


def enable(account: Account, params: Params, destination_id: str) -> Document:
    return _switch(account, params, destination_id, "enabled")


def _switch(account: Account, params: Params, destination_id: str, status: str) -> Document:
    p.known(params, "include")
    details: Any = {"disabled": {"reason": "user"}} if status == "disabled" else None
    destination = account.store.get(DESTINATION, destination_id)
    account.update(destination, status=status, status_details=details, updated=time_of(account.now()))
    return retrieve(account, params, destination_id)


def delete(account: Account, _params: Params, destination_id: str) -> Document:
    account.store.remove(account.store.get(DESTINATION, destination_id))
    ways.close(account, destination_id)
    return {"id": destination_id, "object": DESTINATION}


_ONE_PAGE = {"next_page_url": None, "previous_page_url": None}


def retrieve_event(account: Account, _params: Params, event_id: str) -> Document:
    return full(account.events.find(snapshot_id(event_id)))


def list_events(account: Account, params: Params) -> Document:
    """The events of one object, newest first."""
    p.known(params, "object_id", "limit", "types")
    object_id = params.get("object_id")

    def is_wanted(event: Document) -> bool:
        if event["created"] < account.events.horizon():
            return False
        types = params.get("types") or [type_of(event)]
        return object_id in (None, event["data"]["object"].get("id")) and type_of(event) in types

    found = account.store.all("event", is_wanted)[: p.integer(params.get("limit"), param="limit", default=20)]
    return {"data": [full(event) for event in found], **_ONE_PAGE}
