"""Usage that is reported and summed up by meters, and credit that is granted ahead of it."""

from __future__ import annotations

from datetime import datetime

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import APIError, invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import credit_ledger, customers
from billing.sandbox.store import Document, listing, new_id
from billing.sandbox.thin import time_of

OLDEST_SECONDS, NEWEST_SECONDS = 35 * 86_400, 300
IDENTIFIER_SECONDS = 86_400


def create(account: Account, params: Params) -> Document:
    p.known(params, "display_name", "event_name", "default_aggregation", "customer_mapping", "value_settings")
    name = p.required(params, "event_name")
    if account.store.all("billing.meter", lambda one: one["event_name"] == name and one["status"] == "active"):
        raise invalid("There is already an active meter with this event name.", param="event_name")
    formula = p.required(params, "default_aggregation").get("formula")
    if formula not in ("sum", "count", "last"):
        raise invalid("formula must be sum, count or last.", param="default_aggregation[formula]")
    now = account.now()
    meter: Document = {
        "id": new_id("mtr_test"),
        "object": "billing.meter",
        "created": now,
        "default_aggregation": {"formula": formula},
        "display_name": p.required(params, "display_name"),
        "event_name": name,
        "updated": now,
    }
    for setting in ("customer_mapping", "value_settings"):
        if setting in params:
            meter[setting] = params[setting]
    return account.create(meter, event="billing.meter.created")


def retrieve(account: Account, _params: Params, meter_id: str) -> Document:
    return account.store.get("billing.meter", meter_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "status", "limit", "starting_after", "ending_before")
    return account.store.page(
        "billing.meter",
        params,
        url="/v1/billing/meters",
        where=lambda one: params.get("status") in (None, one["status"]),
    )


def deactivate(account: Account, params: Params, meter_id: str) -> Document:
    p.known(params)
    meter = account.store.get("billing.meter", meter_id)
    transitions = {"deactivated_at": account.now()}
    return account.update(meter, event="billing.meter.deactivated", status="inactive", status_transitions=transitions)


def report(account: Account, params: Params) -> Document:
    """One event of usage. The same identifier within a day is refused, so that a report sent twice counts once."""
    p.known(params, "event_name", "payload", "identifier", "timestamp")
    name, payload = p.required(params, "event_name"), p.required(params, "payload")
    meter = _active(account, name)
    now = account.now()
    at = p.integer(params.get("timestamp"), param="timestamp", default=now)
    if not now - OLDEST_SECONDS <= at <= now + NEWEST_SECONDS:
        raise invalid("The timestamp must be within the past 35 days, or at most 5 minutes ahead.", param="timestamp")
    customers.existing(account, p.required(payload, meter["customer_mapping"]["event_payload_key"]))
    value = payload.get(meter["value_settings"]["event_payload_key"])
    if meter["default_aggregation"]["formula"] != "count" and not str(value or "").lstrip("-").isdigit():
        raise invalid("The payload has no whole number as its value.", param="payload[value]")
    identifier = params.get("identifier") or new_id("meter")
    if _is_known(account, identifier):
        text = f"An event already exists with identifier {identifier}."
        raise invalid(text, param="identifier", code="duplicate_meter_event")
    event = {
        "object": "billing.meter_event",
        "created": now,
        "event_name": name,
        "identifier": identifier,
        "livemode": False,
        "payload": payload,
        "timestamp": at,
    }
    account.store.insert({"id": f"usage_{identifier}", **event})
    return event


def _is_known(account: Account, identifier: str) -> bool:
    before = account.store.find("billing.meter_event", f"usage_{identifier}")
    if before and before["created"] <= account.now() - IDENTIFIER_SECONDS:
        account.store.remove(before)
        return False
    return before is not None


def _active(account: Account, event_name: str) -> Document:
    found = account.store.all("billing.meter", lambda one: one["event_name"] == event_name)
    if not found or found[0]["status"] != "active":
        text = f"No active meter found for event name {event_name}."
        raise invalid(text, param="event_name", code="resource_missing")
    return found[0]


def used(account: Account, meter: Document, customer: str, start: int, end: int) -> int:
    """What a customer used from `start` to `end`."""
    key = meter["customer_mapping"]["event_payload_key"]

    def is_counted(event: Document) -> bool:
        is_theirs = event["event_name"] == meter["event_name"] and event["payload"].get(key) == customer
        return bool(is_theirs and start <= event["timestamp"] < end)

    events = sorted(account.store.all("billing.meter_event", is_counted), key=lambda event: event["timestamp"])
    values = [int(event["payload"].get(meter["value_settings"]["event_payload_key"]) or 0) for event in events]
    ways = {"sum": sum(values), "count": len(values), "last": values[-1] if values else 0}
    return int(ways[meter["default_aggregation"]["formula"]])


def summaries(account: Account, params: Params, meter_id: str) -> Document:
    """What a customer used from `start_time` to `end_time`, as one sum."""
    p.known(params, "customer", "start_time", "end_time", "value_grouping_window", "limit")
    meter = account.store.get("billing.meter", meter_id)
    customer = str(p.required(params, "customer"))
    start, end = p.amount(params, "start_time"), p.amount(params, "end_time")
    summary = {
        "id": new_id("mtrsum"),
        "object": "billing.meter_event_summary",
        "aggregated_value": float(used(account, meter, customer, start, end)),
        "end_time": end,
        "livemode": False,
        "meter": meter_id,
        "start_time": start,
    }
    return listing([summary], {}, url=f"/v1/billing/meters/{meter_id}/event_summaries")


def update(account: Account, params: Params, meter_id: str) -> Document:
    p.known(params, "display_name")
    meter = account.store.get("billing.meter", meter_id)
    name = params.get("display_name", meter["display_name"])
    return account.update(meter, event="billing.meter.updated", display_name=name, updated=account.now())


def reactivate(account: Account, params: Params, meter_id: str) -> Document:
    p.known(params)
    meter = account.store.get("billing.meter", meter_id)
    transitions = {"deactivated_at": None}
    return account.update(meter, event="billing.meter.reactivated", status="active", status_transitions=transitions)


def adjust(account: Account, params: Params) -> Document:
    """Cancel an event of the last day."""
    p.known(params, "event_name", "type", "cancel")
    name, identifier = p.required(params, "event_name"), p.required(p.required(params, "cancel"), "identifier")
    event = account.store.get("billing.meter_event", f"usage_{identifier}")
    if event["created"] <= account.now() - IDENTIFIER_SECONDS:
        raise invalid("Only events of the last 24 hours can be canceled.", param="cancel[identifier]")
    account.store.remove(event)
    return {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": identifier},
        "event_name": name,
        "livemode": False,
        "status": "complete",
        "type": "cancel",
    }


def report_later(account: Account, params: Params) -> Document:
    """Version 2 takes every event; what is wrong with it is told by a thin event."""
    p.known(params, "event_name", "payload", "identifier", "timestamp")
    now = account.now()
    given = dict(params)
    if moment := params.get("timestamp"):
        given["timestamp"] = int(datetime.fromisoformat(str(moment).replace("Z", "+00:00")).timestamp())
    identifier = given["identifier"] = params.get("identifier") or new_id("meter")
    try:
        report(account, given)
    except APIError as error:
        _tell_error(account, given, error)
    return {
        "object": "v2.billing.meter_event",
        "created": time_of(now),
        "event_name": p.required(params, "event_name"),
        "identifier": identifier,
        "livemode": False,
        "payload": p.required(params, "payload"),
        "timestamp": time_of(int(given.get("timestamp", now))),
    }


def _tell_error(account: Account, given: Params, error: APIError) -> None:
    found = account.store.all(
        "billing.meter", lambda one: one["event_name"] == given.get("event_name") and one["status"] == "active"
    )
    now, text = time_of(account.now()), str(error)
    code = "meter_event_invalid_value" if found else "meter_event_no_meter"
    sample = {"error_message": text, "request": {"identifier": given["identifier"]}}
    data = {
        "developer_message_summary": f"There is 1 invalid event: {text}",
        "reason": {
            "error_count": 1,
            "error_types": [{"code": code, "error_count": 1, "sample_errors": [sample]}],
        },
        "validation_end": now,
        "validation_start": now,
    }
    kind = "v1.billing.meter.error_report_triggered" if found else "v1.billing.meter.no_meter_found"
    account.events.emit(kind, found[0] if found else {"object": "billing.meter"}, thin_data=data)


def grant(account: Account, params: Params) -> Document:
    """Credit for metered usage, ahead of it."""
    p.known(
        params, "customer", "amount", "category", "applicability_config", "effective_at", "expires_at", "name",
        "priority", "metadata",
    )  # fmt: skip
    money = p.required(p.required(params, "amount"), "monetary")
    now = account.now()
    given: Document = {
        "id": new_id("credgr"),
        "object": "billing.credit_grant",
        "amount": {
            "monetary": {"currency": p.required(money, "currency"), "value": p.amount(money, "value")},
            "type": "monetary",
        },
        "applicability_config": p.required(params, "applicability_config"),
        "category": params.get("category") or "paid",
        "created": now,
        "customer": customers.existing(account, p.required(params, "customer"))["id"],
        "effective_at": now,
        "metadata": params.get("metadata") or {},
        "name": params.get("name"),
        "priority": p.integer(params.get("priority"), param="priority", default=50),
        "updated": now,
    }
    for name in ("effective_at", "expires_at"):
        if name in params:
            given[name] = p.amount(params, name)
    made = account.create(given, event="billing.credit_grant.created")
    credit_ledger.enter(account, made, "credit", made["amount"]["monetary"]["value"], "credits_granted")
    return made


def retrieve_grant(account: Account, _params: Params, grant_id: str) -> Document:
    return account.store.get("billing.credit_grant", grant_id)


def list_grants(account: Account, params: Params) -> Document:
    p.known(params, "customer", "limit", "starting_after", "ending_before")
    return account.store.page(
        "billing.credit_grant", params, url="/v1/billing/credit_grants", customer=params.get("customer")
    )
