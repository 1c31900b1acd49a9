"""Coupons and promotion codes in the simulated Stripe: on the page, on invoices, in previews, over time."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

CARD = {"number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123"}
MONTH = 31 * 86_400


@pytest.fixture
def price(api: Any) -> Any:
    return _price(api, api.products.create({"name": "Plus"}).id, 1999)


def _price(api: Any, product: str, amount: int, interval: str = "month") -> Any:
    return api.prices.create(
        {"product": product, "currency": "usd", "unit_amount": amount, "recurring": {"interval": interval}}
    )


def _code(api: Any, code: str, **coupon: Any) -> Any:
    made = api.coupons.create({"percent_off": 25, "duration": "forever"} | coupon)
    return api.promotion_codes.create({"promotion": {"type": "coupon", "coupon": made.id}, "code": code})


def _session(api: Any, price: Any, **more: Any) -> Any:
    customer = api.customers.create({"email": "ann@example.org"})
    return api.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": "http://127.0.0.1:1/back",
            "allow_promotion_codes": True,
            **more,
        }
    )


def _subscribed(api: Any, price: Any, code: str) -> Any:
    session = _session(api, price)
    assert httpx.post(session.url, data={"promotion_code": code, "action": "code"}).status_code == 200
    assert httpx.post(session.url, data=CARD).status_code == 303
    done = api.checkout.sessions.retrieve(session.id)
    return api.subscriptions.retrieve(done.subscription, {"expand": ["latest_invoice"]})


def test_a_code_typed_on_the_page_lowers_what_is_paid_and_stands_on_the_invoice(api: Any, price: Any) -> None:
    _code(api, "SPRING")
    session = _session(api, price)
    page = httpx.post(session.url, data={"promotion_code": " spring ", "action": "code"})
    assert "14.99 USD" in page.text
    assert api.checkout.sessions.retrieve(session.id).amount_total == 1499
    httpx.post(session.url, data=CARD)
    subscription = api.subscriptions.retrieve(api.checkout.sessions.retrieve(session.id).subscription)
    invoice = api.invoices.retrieve(subscription.latest_invoice)
    assert (invoice.subtotal, invoice.total, invoice.amount_paid) == (1999, 1499, 1499)
    assert [one.amount for one in invoice.total_discount_amounts] == [500]
    assert invoice.lines.data[0].discount_amounts[0].amount == 500
    assert "SPRING" in httpx.get(invoice.hosted_invoice_url).text
    assert b"SPRING" in httpx.get(invoice.invoice_pdf).content


@pytest.mark.parametrize(
    "spoil", ["unknown", "inactive", "expired", "used_up", "too_small", "other_currency", "not_first"]
)
def test_a_code_that_does_not_hold_is_refused_and_changes_nothing(api: Any, price: Any, spoil: str) -> None:
    session = _session(api, price)
    code = f"SPOILT{spoil}"
    coupon = {"other_currency": {"percent_off": None, "amount_off": 100, "currency": "eur"}}.get(spoil, {})
    made = api.coupons.create({"duration": "once", **({"percent_off": 10} | coupon)})
    more: dict[str, Any] = {
        "expired": {"expires_at": 1},
        "used_up": {"max_redemptions": 1},
        "too_small": {"restrictions": {"minimum_amount": 5000, "minimum_amount_currency": "usd"}},
        "not_first": {"restrictions": {"first_time_transaction": True}},
    }.get(spoil, {})
    promotion = api.promotion_codes.create({"promotion": {"type": "coupon", "coupon": made.id}, "code": code, **more})
    if spoil == "inactive":
        api.promotion_codes.update(promotion.id, {"active": False})
    if spoil == "used_up":
        _subscribed(api, price, code)
    if spoil == "not_first":
        paid = {"amount": 500, "currency": "usd", "customer": session.customer}
        api.payment_intents.create({**paid, "payment_method": "pm_card_visa", "confirm": True})
    answer = httpx.post(session.url, data={"promotion_code": "NOSUCH" if spoil == "unknown" else code})
    assert answer.status_code == 402
    assert "does not hold" in answer.text
    assert api.checkout.sessions.retrieve(session.id).amount_total == 1999


@pytest.mark.parametrize("interval", ["month", "year"])
@pytest.mark.parametrize(
    "coupon",
    [
        {"percent_off": 33.3, "duration": "forever"},
        {"percent_off": 50, "duration": "once"},
        {"percent_off": None, "amount_off": 700, "currency": "usd", "duration": "forever"},
    ],
)
def test_the_preview_of_a_discounted_change_is_its_invoice_to_the_cent(
    api: Any, price: Any, coupon: dict[str, Any], interval: str
) -> None:
    code = _code(api, f"C{price.id[-8:]}", **coupon).code
    subscription = _subscribed(api, price, code)
    paid = subscription.latest_invoice.amount_paid
    dear = _price(api, price.product, 4999 if interval == "month" else 49_990, interval)
    item = subscription["items"].data[0]
    start, end = item.current_period_start, item.current_period_end
    at = start + (end - start) // 3
    change = {"items": [{"id": item.id, "price": dear.id}], "proration_date": at}
    details = {**change, "proration_behavior": "always_invoice"}
    preview = api.invoices.create_preview({"subscription": subscription.id, "subscription_details": details})
    after = api.subscriptions.update(subscription.id, {**details, "expand": ["latest_invoice"]})
    assert after.latest_invoice.total == preview.total
    assert [line.amount for line in after.latest_invoice.lines.data] == [line.amount for line in preview.lines.data]
    # What comes back is a share of what was paid, not of the full price.
    assert preview.lines.data[0].amount == -round(paid * (end - at) / (end - start))


def _year_of(api: Any, price: Any, stripe_url: str, coupon: dict[str, Any]) -> list[int]:
    subscription = _subscribed(api, price, _code(api, f"Y{price.id[-8:]}", **coupon).code)
    for _month in range(4):
        httpx.post(f"{stripe_url}/_ctl/time", json={"seconds": MONTH})
    found = api.invoices.list({"subscription": subscription.id, "limit": 100}).data
    return [invoice.total for invoice in reversed(found)][:4]


@pytest.mark.parametrize(
    ("coupon", "totals"),
    [
        ({"duration": "once"}, [1499, 1999, 1999, 1999]),
        ({"duration": "repeating", "duration_in_months": 2}, [1499, 1499, 1999, 1999]),
        ({"duration": "forever"}, [1499, 1499, 1499, 1499]),
    ],
)
def test_a_discount_lasts_as_long_as_its_coupon_says(
    api: Any, price: Any, stripe_url: str, coupon: dict[str, Any], totals: list[int]
) -> None:
    assert _year_of(api, price, stripe_url, coupon) == totals


def test_a_tax_id_given_at_checkout_stands_on_the_invoice(api: Any, price: Any) -> None:
    collects = {"tax_id_collection": {"enabled": True}}
    with pytest.raises(stripe.InvalidRequestError, match="business name"):
        _session(api, price, **collects)
    session = _session(api, price, **collects, customer_update={"name": "auto"})
    form = {**CARD, "business_name": "Ann GmbH", "tax_id_type": "eu_vat", "tax_id": "de123456789"}
    assert "does not look like" in httpx.post(session.url, data={**form, "tax_id": "!"}).text
    assert httpx.post(session.url, data=form).status_code == 303
    done = api.checkout.sessions.retrieve(session.id)
    assert done.customer_details.tax_ids[0].value == "DE123456789"
    invoice = api.invoices.retrieve(done.invoice)
    assert (invoice.customer_name, invoice.customer_tax_ids[0].type) == ("Ann GmbH", "eu_vat")
    assert "DE123456789" in httpx.get(invoice.hosted_invoice_url).text
    assert b"DE123456789" in httpx.get(invoice.invoice_pdf).content
    assert api.customers.tax_ids.list(session.customer).data[0].type == "eu_vat"
