"""Webhook endpoints (API v1): further addresses that snapshot events go to, each with its own secret."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.events import API_VERSION, ENDPOINT
from billing.sandbox.params import Params
from billing.sandbox.resources import ways
from billing.sandbox.store import Document, new_id

MOST = 16


def create(account: Account, params: Params) -> Document:
    """An endpoint; its secret is in this answer and in no later one."""
    p.known(params, "url", "enabled_events", "api_version", "description", "metadata", "connect")
    if len(account.store.all(ENDPOINT)) >= MOST:
        raise invalid(f"You have reached the maximum of {MOST} test webhook endpoints.")
    version = params.get("api_version")
    if version not in (None, API_VERSION):
        raise invalid(f"Invalid Stripe API version: {version}.", param="api_version")
    url = ways.checked_url(p.required(params, "url"))
    endpoint: Document = {
        "id": new_id("we"),
        "object": ENDPOINT,
        "api_version": version,
        "created": account.now(),
        "description": params.get("description"),
        "enabled_events": _types(p.required(params, "enabled_events")),
        "metadata": params.get("metadata") or {},
        "url": url,
    }
    kept = ways.open_to(account, endpoint["id"], url)
    return {**account.store.insert(endpoint), "secret": kept["secret"]}


def _types(given: Any) -> list[str]:
    if not isinstance(given, list) or not given:
        raise invalid("enabled_events must name at least one event, or be ['*'].", param="enabled_events")
    return [str(one) for one in given]


def retrieve(account: Account, _params: Params, endpoint_id: str) -> Document:
    return account.store.get(ENDPOINT, endpoint_id)


def update(account: Account, params: Params, endpoint_id: str) -> Document:
    p.known(params, "url", "enabled_events", "description", "metadata", "disabled")
    endpoint = account.store.get(ENDPOINT, endpoint_id)
    changes: dict[str, Any] = {"metadata": p.merged(endpoint["metadata"], params.get("metadata"))}
    if "url" in params:
        changes["url"] = ways.checked_url(params["url"])
        ways.lead_to(account, endpoint_id, changes["url"])
    if "enabled_events" in params:
        changes["enabled_events"] = _types(params["enabled_events"])
    if "description" in params:
        changes["description"] = params["description"]
    if "disabled" in params:
        changes["status"] = "disabled" if p.boolean(params["disabled"]) else "enabled"
    return account.update(endpoint, **changes)


def delete(account: Account, _params: Params, endpoint_id: str) -> Document:
    account.store.remove(account.store.get(ENDPOINT, endpoint_id))
    ways.close(account, endpoint_id)
    return {"id": endpoint_id, "object": ENDPOINT, "deleted": True}


def listed(account: Account, params: Params) -> Document:
    p.known(params, "limit", "starting_after", "ending_before")
    return account.store.page(ENDPOINT, params, url="/v1/webhook_endpoints")
