"""The official SDK judges the shape of what the simulated Stripe answers: every field of every class it declares."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

from tests.integration.sandbox.typed_fields import differences
from tests.stack.simulated_stripe import KEY

CARD = {"number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123"}


@pytest.fixture(scope="module")
def answers(api: Any, stripe_url: str) -> dict[str, Any]:
    """By kind, what the simulation answers after a customer has subscribed, changed, been refunded and more."""
    found: dict[str, Any] = {}

    def keep(*made: Any) -> Any:
        found.update({one.object: one for one in made})
        return made[-1]

    product = keep(api.products.create({"name": "Plus"}))
    price = keep(_price(api, product, 2000))
    customer = keep(api.customers.create({"email": "ann@example.org", "name": "Ann"}))
    session = api.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": "http://127.0.0.1:1/back",
        }
    )
    assert httpx.post(session.url, data=CARD).status_code == 303
    session = keep(api.checkout.sessions.retrieve(session.id))
    subscription = keep(api.subscriptions.retrieve(session.subscription))
    item = keep(subscription["items"].data[0])
    keep(item.plan)
    dear = _price(api, product, 5000)
    change = {"items": [{"id": item.id, "price": dear.id}], "proration_behavior": "always_invoice"}
    keep(api.subscriptions.update(subscription.id, change))
    invoice = keep(api.invoices.retrieve(session.invoice))
    keep(invoice.lines.data[0])
    payment = keep(api.invoice_payments.list({"invoice": invoice.id}).data[0])
    intent = keep(api.payment_intents.retrieve(payment.payment.payment_intent))
    keep(api.payment_methods.retrieve(intent.payment_method))
    keep(api.refunds.create({"payment_intent": intent.id, "amount": 700}))
    charge = keep(api.charges.retrieve(intent.latest_charge))
    disputed = httpx.post(f"{stripe_url}/_ctl/disputes/{charge.id}").json()
    keep(api.disputes.retrieve(disputed["id"]))
    keep(api.subscription_schedules.create({"from_subscription": subscription.id}))
    keep(api.billing_portal.sessions.create({"customer": customer.id}))
    keep(api.test_helpers.test_clocks.create({"frozen_time": 1}))
    keep(api.events.list({"limit": 1}).data[0])
    api.customers.update(customer.id, {"invoice_settings": {"default_payment_method": intent.payment_method}})
    _discounted(api, keep, customer, price)
    _invoiced_by_hand(api, keep, customer)
    _metered(api, keep, customer, product)
    keep(api.accounts.retrieve_current())
    keep(api.webhook_endpoints.create({"url": "http://127.0.0.1:9", "enabled_events": ["*"]}))
    keep(api.checkout.sessions.line_items.list(session.id).data[0])
    warned = {"amount": 500, "currency": "usd", "payment_method": "pm_card_createIssuerFraudRecord", "confirm": True}
    api.payment_intents.create(warned)
    keep(api.radar.early_fraud_warnings.list().data[0])
    keep(api.disputes.retrieve(disputed["id"]).balance_transactions[0])
    _taxed(api, keep, price)
    keep(api.quotes.create({"customer": customer.id, "line_items": [{"price": price.id}]}))
    keep(api.setup_intents.create({"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True}))
    keep(api.billing_portal.configurations.create({"features": {"invoice_history": {"enabled": True}}}))
    return found


def _taxed(api: Any, keep: Any, price: Any) -> None:
    address = {"country": "DE"}
    customer = api.customers.create({"payment_method": "pm_card_visa", "address": address})
    card = api.payment_methods.list({"customer": customer.id}).data[0]
    given = {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": card.id}
    made = api.subscriptions.create({**given, "automatic_tax": {"enabled": True}, "expand": ["latest_invoice"]})
    keep(made, made.latest_invoice, made.latest_invoice.lines.data[0])


def _discounted(api: Any, keep: Any, customer: Any, price: Any) -> None:
    coupon = keep(api.coupons.create({"percent_off": 12.5, "duration": "repeating", "duration_in_months": 3}))
    code = keep(api.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}}))
    given = {"customer": customer.id, "items": [{"price": price.id}], "discounts": [{"promotion_code": code.id}]}
    subscription = api.subscriptions.create({**given, "expand": ["discounts", "latest_invoice"]})
    keep(
        subscription, subscription.discounts[0], subscription.latest_invoice, subscription.latest_invoice.lines.data[0]
    )


def _invoiced_by_hand(api: Any, keep: Any, customer: Any) -> None:
    keep(api.tax_rates.create({"display_name": "VAT", "inclusive": False, "percentage": 19.0}))
    keep(api.customers.tax_ids.create(customer.id, {"type": "eu_vat", "value": "DE123456789"}))
    keep(api.invoice_items.create({"customer": customer.id, "amount": 900, "currency": "usd"}))
    invoice = api.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    invoice = keep(api.invoices.finalize_invoice(invoice.id))
    line = {"type": "custom_line_item", "unit_amount": 100, "quantity": 2, "description": "Sorry"}
    note = keep(api.credit_notes.create({"invoice": invoice.id, "lines": [line]}))
    keep(note.lines.data[0])


def _metered(api: Any, keep: Any, customer: Any, product: Any) -> None:
    meter = keep(
        api.billing.meters.create(
            {"display_name": "Tokens", "event_name": "tokens", "default_aggregation": {"formula": "sum"}}
        )
    )
    payload = {"stripe_customer_id": customer.id, "value": "25"}
    event = keep(api.billing.meter_events.create({"event_name": "tokens", "payload": payload}))
    window = {"customer": customer.id, "start_time": event.timestamp - 60, "end_time": event.timestamp + 60}
    summary = keep(api.billing.meters.event_summaries.list(meter.id, window).data[0])
    assert summary.aggregated_value == 25
    keep(
        api.billing.credit_grants.create(
            {
                "customer": customer.id,
                "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 500}},
                "applicability_config": {"scope": {"price_type": "metered"}},
                "category": "paid",
            }
        )
    )
    feature = keep(api.entitlements.features.create({"name": "API", "lookup_key": "api"}))
    keep(api.products.features.create(product.id, {"entitlement_feature": feature.id}))
    entitled = keep(api.entitlements.active_entitlements.list({"customer": customer.id}).data[0])
    assert (entitled.lookup_key, entitled.feature) == ("api", feature.id)


def _price(api: Any, product: Any, amount: int) -> Any:
    return api.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": amount, "recurring": {"interval": "month"}}
    )


KINDS = [
    "account", "balance_transaction", "item", "radar.early_fraud_warning", "webhook_endpoint",
    "billing.credit_grant", "billing.meter", "billing.meter_event", "billing.meter_event_summary",
    "billing_portal.configuration", "billing_portal.session", "charge", "checkout.session", "coupon", "credit_note",
    "credit_note_line_item", "customer", "discount", "dispute", "entitlements.active_entitlement",
    "entitlements.feature", "event", "invoice", "invoice_payment", "invoiceitem", "line_item", "payment_intent",
    "payment_method", "plan", "price", "product", "product_feature", "promotion_code", "quote", "refund",
    "setup_intent", "subscription", "subscription_item", "subscription_schedule", "tax_id", "tax_rate",
    "test_helpers.test_clock",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_every_field_the_sdk_declares_and_no_other(answers: dict[str, Any], kind: str) -> None:
    assert sorted(set(differences(answers[kind]))) == []


def test_the_judge_finds_what_is_missing_unknown_empty_or_of_another_type() -> None:
    seen = stripe.TaxId.construct_from(
        {"id": None, "object": "tax_id", "livemode": "no", "type": "eu_vat", "value": "DE1", "colour": "red"}, KEY
    )
    assert sorted(differences(seen)) == [
        "TaxId.colour is unknown to the SDK",
        "TaxId.created is missing",
        "TaxId.id is empty",
        "TaxId.livemode is 'no', not bool",
    ]
