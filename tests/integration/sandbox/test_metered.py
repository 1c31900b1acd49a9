"""Metered prices in the simulated Stripe: usage on invoices, credit that pays for it, and reports that go wrong."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest
import stripe

from tests.integration.sandbox.typed_fields import differences

DAY = 86_400


@pytest.fixture
def meter(client: Any) -> Any:
    given = {"display_name": "Tokens", "default_aggregation": {"formula": "sum"}}
    return client.v1.billing.meters.create({**given, "event_name": f"tokens_{uuid.uuid4().hex[:8]}"})


@pytest.fixture
def subscription(client: Any, meter: Any) -> Any:
    api = client.v1
    product = api.products.create({"name": "API"})
    recurring = {"interval": "month", "usage_type": "metered", "meter": meter.id}
    price = api.prices.create({"product": product.id, "currency": "usd", "unit_amount": 3, "recurring": recurring})
    customer = api.customers.create({"payment_method": "pm_card_visa"})
    card = api.payment_methods.list({"customer": customer.id}).data[0].id
    items = [{"price": price.id}]
    return api.subscriptions.create({"customer": customer.id, "items": items, "default_payment_method": card})


def use(client: Any, meter: Any, customer: str, value: int, **more: Any) -> Any:
    payload = {"stripe_customer_id": customer, "value": str(value)}
    return client.v1.billing.meter_events.create({"event_name": meter.event_name, "payload": payload, **more})


def pass_time(stripe_url: str, days: int) -> None:
    httpx.post(f"{stripe_url}/_ctl/time", json={"seconds": days * DAY}).raise_for_status()


def bills(client: Any, customer: str) -> list[Any]:
    return list(client.v1.invoices.list({"customer": customer}).data)


def test_what_was_used_is_billed_when_the_period_is_over(
    client: Any, meter: Any, subscription: Any, stripe_url: str
) -> None:
    assert (subscription.status, subscription["items"].data[0].quantity) == ("active", None)
    use(client, meter, subscription.customer, 100)
    use(client, meter, subscription.customer, 50, identifier="once")
    with pytest.raises(stripe.InvalidRequestError):
        use(client, meter, subscription.customer, 50, identifier="once")
    pass_time(stripe_url, 32)
    renewal, first = bills(client, subscription.customer)
    assert (first.total, renewal.total, renewal.amount_paid) == (0, 450, 450)
    assert renewal.lines.data[0].quantity == 150
    use(client, meter, subscription.customer, 10)
    client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    pass_time(stripe_url, 32)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "canceled"
    assert [one.total for one in bills(client, subscription.customer)] == [30, 450, 0]


def test_credit_pays_for_usage_first_and_its_ledger_says_so(
    client: Any, meter: Any, subscription: Any, stripe_url: str
) -> None:
    billing = client.v1.billing
    amount = {"type": "monetary", "monetary": {"currency": "usd", "value": 200}}
    config = {"scope": {"price_type": "metered"}}
    given = {"customer": subscription.customer, "applicability_config": config, "category": "paid"}
    grant = billing.credit_grants.create({**given, "amount": amount})
    use(client, meter, subscription.customer, 100)
    pass_time(stripe_url, 32)
    renewal = bills(client, subscription.customer)[0]
    assert (renewal.subtotal, renewal.total, renewal.amount_paid) == (300, 100, 100)
    assert sorted(differences(renewal)) == []
    entries = billing.credit_balance_transactions.list({"customer": subscription.customer}).data
    assert [(one.type, one.credit_grant) for one in entries] == [("debit", grant.id), ("credit", grant.id)]
    assert [line for one in entries for line in differences(one)] == []
    wanted = {"customer": subscription.customer, "filter": {"type": "applicability_scope"}}
    summary = billing.credit_balance_summary.retrieve(wanted)
    assert sorted(differences(summary)) == []
    assert summary.balances[0].available_balance.monetary.value == 0
    other = billing.credit_grants.create({**given, "amount": amount})
    assert billing.credit_grants.void_grant(other.id).voided_at
    assert billing.credit_balance_summary.retrieve(wanted).balances[0].available_balance.monetary.value == 0


def test_version_two_takes_usage_and_tells_later_what_was_wrong_with_it(
    client: Any, meter: Any, subscription: Any
) -> None:
    payload = {"stripe_customer_id": subscription.customer, "value": "7"}
    made = client.v2.billing.meter_events.create({"event_name": meter.event_name, "payload": payload})
    assert sorted(differences(made)) == []
    client.v2.billing.meter_events.create({"event_name": meter.event_name, "payload": {**payload, "value": "many"}})
    client.v2.billing.meter_events.create({"event_name": "nothing_counts_this", "payload": payload})
    types = ["v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found"]
    told = client.v2.core.events.list({"types": types}).data
    assert {one.type for one in told} == set(types)
    assert told[0].data.reason.error_count == 1
    assert not [one for one in client.v1.events.list({"limit": 100}).data if one.type in types]


def test_an_event_is_taken_back_and_a_metered_price_needs_its_meter(client: Any, meter: Any, subscription: Any) -> None:
    made = use(client, meter, subscription.customer, 40)
    cancel = {"event_name": meter.event_name, "type": "cancel", "cancel": {"identifier": made.identifier}}
    adjustment = client.v1.billing.meter_event_adjustments.create(cancel)
    assert sorted(differences(adjustment)) == []
    window = {"customer": subscription.customer, "start_time": made.timestamp - 60, "end_time": made.timestamp + 60}
    assert client.v1.billing.meters.event_summaries.list(meter.id, window).data[0].aggregated_value == 0
    product = client.v1.products.create({"name": "API"})
    given = {"product": product.id, "currency": "usd", "unit_amount": 3}
    with pytest.raises(stripe.InvalidRequestError, match="needs the meter"):
        client.v1.prices.create({**given, "recurring": {"interval": "month", "usage_type": "metered"}})
    assert client.v1.billing.meters.deactivate(meter.id).status == "inactive"
    assert client.v1.billing.meters.reactivate(meter.id).status == "active"
