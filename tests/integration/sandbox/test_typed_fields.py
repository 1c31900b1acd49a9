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
def api(stripe_url: str) -> Any:
    return stripe.StripeClient(KEY, base_addresses={"api": stripe_url}, max_network_retries=0).v1


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
    return found


def _price(api: Any, product: Any, amount: int) -> Any:
    return api.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": amount, "recurring": {"interval": "month"}}
    )


KINDS = [
    "billing_portal.session", "charge", "checkout.session", "customer", "dispute", "event", "invoice",
    "invoice_payment", "line_item", "payment_intent", "payment_method", "plan", "price", "product", "refund",
    "subscription", "subscription_item", "subscription_schedule", "test_helpers.test_clock",
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
