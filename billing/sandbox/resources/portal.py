"""The customer portal: its configurations, and sessions: pages where a customer manages card, plan and invoices."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.params import Params
from billing.sandbox.resources import customers
from billing.sandbox.store import Document, new_id

_REASONS = [
    "too_expensive", "missing_features", "switched_service", "unused", "customer_service", "too_complex", "low_quality",
    "other",
]  # fmt: skip
FEATURES: dict[str, dict[str, Any]] = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "options": _REASONS},
        "enabled": True,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "products": [],
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}


def create(account: Account, params: Params) -> Document:
    p.known(params, "customer", "return_url", "flow_data", "locale", "configuration")
    customer = customers.existing(account, p.required(params, "customer"))
    session_id = new_id("bps")
    session = {
        "id": session_id,
        "object": "billing_portal.session",
        "configuration": params.get("configuration") or _default(account)["id"],
        "created": account.now(),
        "customer": customer["id"],
        "flow": _flow(params["flow_data"]) if params.get("flow_data") else None,
        "locale": params.get("locale"),
        "return_url": params.get("return_url"),
        "url": f"{account.base_url}/portal/{session_id}",
    }
    return account.create(session, event="billing_portal.session.created")


def _flow(given: Params) -> Document:
    nothing = {"subscription_cancel": None, "subscription_update": None, "subscription_update_confirm": None}
    after = {"hosted_confirmation": None, "redirect": None, "type": "portal_homepage"}
    return {**nothing, **given, "after_completion": {**after, **(given.get("after_completion") or {})}}


def after(session: Document) -> str:
    """Where a page leads when its change is done: back to the site if the flow says so."""
    done = (session["flow"] or {}).get("after_completion") or {}
    redirect = done.get("redirect") or {}
    return str(redirect.get("return_url") if done.get("type") == "redirect" else session["url"])


def offered(account: Account, session: Document, subscription: Document) -> list[Document]:
    """The prices that the configuration lets a customer switch to, without the present one."""
    configuration = account.store.get("billing_portal.configuration", session["configuration"])
    feature = configuration["features"]["subscription_update"]
    if not feature["enabled"]:
        return []
    present = subscription["items"]["data"][0]["price"]["id"]
    ids = [price_id for product in feature["products"] for price_id in product["prices"] if price_id != present]
    prices = [account.store.get("price", price_id) for price_id in ids]
    return [one for one in prices if one["active"] and one["currency"] == subscription["currency"]]


def create_configuration(account: Account, params: Params) -> Document:
    p.known(params, "business_profile", "features", "default_return_url", "metadata", "login_page", "name")
    return _configure(account, params, is_default=False)


def _configure(account: Account, params: Params, *, is_default: bool) -> Document:
    now = account.now()
    profile = {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None}
    configuration = {
        "id": new_id("bpc"),
        "object": "billing_portal.configuration",
        "business_profile": {**profile, **(params.get("business_profile") or {})},
        "created": now,
        "default_return_url": params.get("default_return_url"),
        "features": _features(FEATURES, params.get("features") or {}),
        "is_default": is_default,
        "metadata": params.get("metadata") or {},
        "updated": now,
    }
    return account.create(configuration, event="billing_portal.configuration.created")


def _features(before: dict[str, dict[str, Any]], given: Params) -> Document:
    after: Document = {name: dict(feature) for name, feature in before.items()}
    for name, wanted in given.items():
        changed = {key: p.boolean(value) if key == "enabled" else value for key, value in wanted.items()}
        after[name] = {**after.get(name, {}), **changed}
    return after


def _default(account: Account) -> Document:
    found = account.store.all("billing_portal.configuration", lambda one: one["is_default"])
    return found[0] if found else _configure(account, {}, is_default=True)


def retrieve_configuration(account: Account, _params: Params, configuration_id: str) -> Document:
    return account.store.get("billing_portal.configuration", configuration_id)


def update_configuration(account: Account, params: Params, configuration_id: str) -> Document:
    p.known(params, "active", "business_profile", "features", "default_return_url", "metadata", "name")
    before = account.store.get("billing_portal.configuration", configuration_id)
    changes: dict[str, Any] = {
        "business_profile": {**before["business_profile"], **(params.get("business_profile") or {})},
        "features": _features(before["features"], params.get("features") or {}),
        "metadata": p.merged(before["metadata"], params.get("metadata")),
    }
    changes["updated"] = account.now()
    return account.update(before, event="billing_portal.configuration.updated", **changes)


def list_configurations(account: Account, params: Params) -> Document:
    p.known(params, "active", "is_default", "limit", "starting_after", "ending_before")
    return account.store.page("billing_portal.configuration", params, url="/v1/billing_portal/configurations")
