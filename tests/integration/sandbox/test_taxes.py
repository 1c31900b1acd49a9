"""Tax in the simulated Stripe: rates set by hand, and automatic tax by where the customer is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

CARD = {"number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123"}
GERMANY = {"country": "DE"}


def _price(api: Any, amount: int = 2000, **more: Any) -> Any:
    product = api.products.create({"name": "Plus"})
    given = {"currency": "usd", "unit_amount": amount, "recurring": {"interval": "month"}}
    return api.prices.create({"product": product.id, **given, **more})


def _subscribed(api: Any, price: Any, address: dict[str, str] | None = None, **more: Any) -> Any:
    customer = api.customers.create({"payment_method": "pm_card_visa", **({"address": address} if address else {})})
    card = api.payment_methods.list({"customer": customer.id}).data[0]
    given = {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": card.id}
    return api.subscriptions.create({**given, **more, "expand": ["latest_invoice"]})


@pytest.mark.parametrize(("inclusive", "total", "tax"), [(False, 2380, 380), (True, 2000, 319)])
def test_a_rate_is_on_top_or_within(api: Any, inclusive: bool, total: int, tax: int) -> None:
    rate = api.tax_rates.create({"display_name": "VAT", "percentage": 19, "inclusive": inclusive})
    invoice = _subscribed(api, _price(api), default_tax_rates=[rate.id]).latest_invoice
    assert (invoice.subtotal, invoice.total, invoice.amount_paid) == (2000, total, total)
    assert [(one.amount, one.tax_rate_details.tax_rate) for one in invoice.total_taxes] == [(tax, rate.id)]
    assert (invoice.total_excluding_tax, invoice.lines.data[0].taxes[0].amount) == (total - tax, tax)
    assert "VAT 19 %" in httpx.get(invoice.hosted_invoice_url).text
    assert b"VAT 19 %" in httpx.get(invoice.invoice_pdf).content


@pytest.mark.parametrize(
    ("customer", "total", "reason"),
    [
        ({"address": GERMANY}, 2380, "standard_rated"),
        ({"address": {"country": "US", "state": "CA"}}, 2145, "standard_rated"),
        ({"address": GERMANY, "tax_exempt": "exempt"}, 2000, "customer_exempt"),
        ({"address": GERMANY, "tax_exempt": "reverse"}, 2000, "reverse_charge"),
    ],
)
def test_automatic_tax_goes_by_the_place_and_by_who_is_exempt(
    api: Any, customer: dict[str, Any], total: int, reason: str
) -> None:
    person = api.customers.create({"payment_method": "pm_card_visa", **customer})
    api.invoice_items.create({"customer": person.id, "amount": 2000, "currency": "usd"})
    wanted = {"pending_invoice_items_behavior": "include", "automatic_tax": {"enabled": True}}
    invoice = api.invoices.create({"customer": person.id, **wanted})
    assert (invoice.total, invoice.automatic_tax.status) == (total, "complete")
    assert [one.taxability_reason for one in invoice.total_taxes] == [reason]


def test_automatic_tax_needs_a_place(api: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        _subscribed(api, _price(api), automatic_tax={"enabled": True})
    assert refused.value.code == "customer_tax_location_invalid"


def test_the_page_asks_for_the_country_and_taxes_what_is_paid_and_what_follows(api: Any, stripe_url: str) -> None:
    customer, price = api.customers.create({"email": "ann@example.org"}), _price(api, currency="eur")
    session = api.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": "http://127.0.0.1:1/back",
            "automatic_tax": {"enabled": True},
        }
    )
    assert "Germany" in httpx.get(session.url).text
    assert httpx.post(session.url, data={**CARD, "country": "DE"}).status_code == 303
    done = api.checkout.sessions.retrieve(session.id)
    # A price in euros that does not say contains its tax.
    assert (done.amount_total, done.total_details.amount_tax, done.automatic_tax.status) == (2000, 319, "complete")
    assert done.customer_details.address.country == "DE"
    httpx.post(f"{stripe_url}/_ctl/time", json={"seconds": 32 * 86_400}).raise_for_status()
    renewals = api.invoices.list({"customer": customer.id}).data
    assert [(one.total, one.total_taxes[0].amount) for one in renewals] == [(2000, 319)] * 2


def test_the_preview_of_a_taxed_change_is_its_invoice_to_the_cent(api: Any) -> None:
    subscription = _subscribed(api, _price(api), GERMANY, automatic_tax={"enabled": True})
    item = subscription["items"].data[0]
    dear = api.prices.create(
        {"product": item.price.product, "currency": "usd", "unit_amount": 4999, "recurring": {"interval": "month"}}
    )
    at = item.current_period_start + (item.current_period_end - item.current_period_start) // 3
    change = {
        "items": [{"id": item.id, "price": dear.id}],
        "proration_date": at,
        "proration_behavior": "always_invoice",
    }
    preview = api.invoices.create_preview({"subscription": subscription.id, "subscription_details": change})
    after = api.subscriptions.update(subscription.id, {**change, "expand": ["latest_invoice"]}).latest_invoice
    # 4999 and 2000 for two thirds of the period, each with 19 %.
    assert (after.total, preview.total) == ((3333 + 633) - (1333 + 253),) * 2
