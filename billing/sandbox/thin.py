"""Thin events: the same news as a snapshot event, with a reference to the object instead of the object."""

from __future__ import annotations

from datetime import UTC, datetime

from billing.sandbox.store import Document

# Where the objects of a kind are to be fetched.
_ADDRESSES = {
    "v2.core.event_destination": "/v2/core/event_destinations/{}",
    "radar.early_fraud_warning": "/v1/radar/early_fraud_warnings/{}",
    "billing.meter_error_report": "/v1/billing/meters/{}",
    "entitlements.feature": "/v1/entitlements/features/{}",
    "invoiceitem": "/v1/invoiceitems/{}",
    "checkout.session": "/v1/checkout/sessions/{}",
    "dispute": "/v1/disputes/{}",
    "tax_id": "/v1/customers/{customer}/tax_ids/{}",
    "billing_portal.session": "/v1/billing_portal/sessions/{}",
    "billing_portal.configuration": "/v1/billing_portal/configurations/{}",
    "billing.meter": "/v1/billing/meters/{}",
    "billing.credit_grant": "/v1/billing/credit_grants/{}",
    "test_helpers.test_clock": "/v1/test_helpers/test_clocks/{}",
}


def thin_id(event_id: str) -> str:
    return event_id.replace("evt_", "evt_test_", 1)


def snapshot_id(event_id: str) -> str:
    """The snapshot event that a thin one goes with."""
    return event_id.replace("evt_test_", "evt_", 1)


def time_of(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def type_of(event: Document) -> str:
    """Events of version 1 of the API have its name before theirs; others are told as they are."""
    kind = str(event["type"])
    return kind if kind.startswith(("v1.", "v2.")) else f"v1.{kind}"


def notification(event: Document) -> Document:
    """What is sent: who, what and when, and where to look."""
    subject = event["data"]["object"]
    kind, subject_id = subject["object"], subject.get("id")
    address = _ADDRESSES.get(kind, f"/v1/{kind}s/{{}}")
    related = {
        "id": subject_id,
        "type": kind,
        "url": address.format(subject_id, customer=subject.get("customer")),
    }
    return {
        "id": thin_id(event["id"]),
        "object": "v2.core.event",
        "context": None,
        "created": time_of(event["created"]),
        "livemode": False,
        "reason": None,
        "related_object": related if subject_id else None,
        "snapshot_event": event["id"] if type_of(event) != event["type"] else None,
        "type": type_of(event),
    }


def full(event: Document) -> Document:
    """What `/v2/core/events/…` answers: with what the changed fields were and are."""
    before = event["data"].get("previous_attributes") or {}
    after = {name: event["data"]["object"].get(name) for name in before}
    changes = {"before": before, "after": after} if before else None
    told = {**notification(event), "changes": changes}
    return {**told, "data": event["thin_data"]} if event.get("thin_data") else told
