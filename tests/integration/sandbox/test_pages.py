"""The hosted pages of the simulated Stripe that a person pays and changes things on, as forms are sent to them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

CARD = {"number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123"}
CHALLENGED = {**CARD, "number": "4000 0027 6000 3184"}
DAY = 86_400


@pytest.fixture
def prices(api: Any) -> list[Any]:
    recurring = {"interval": "month"}
    return [
        api.prices.create(
            {
                "product": api.products.create({"name": name}).id,
                "currency": "usd",
                "unit_amount": amount,
                "recurring": recurring,
            }
        )
        for name, amount in (("Plus", 2000), ("Pro", 4999))
    ]


def subscribed(api: Any, price: Any, card: str) -> Any:
    customer = api.customers.create({"name": "Ann"})
    method = api.payment_methods.attach(card, {"customer": customer.id}).id
    given = {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": method}
    return api.subscriptions.create({**given, "expand": ["latest_invoice"]})


def test_an_invoice_whose_bank_asks_is_paid_on_its_page(api: Any, prices: list[Any]) -> None:
    subscription = subscribed(api, prices[0], "pm_card_authenticationRequired")
    url = subscription.latest_invoice.hosted_invoice_url
    assert (subscription.status, "no money moves" in httpx.get(url).text) == ("incomplete", True)
    assert httpx.post(url, data={**CARD, "number": "4000 0000 0000 0002"}).status_code == 402
    assert httpx.post(url, data={**CARD, "expiry": "soon"}).status_code == 402
    assert "Your bank wants to know" in httpx.post(url, data=CHALLENGED).text
    assert httpx.post(url, data={**CHALLENGED, "challenge": "fail"}).status_code == 402
    assert api.subscriptions.retrieve(subscription.id).status == "incomplete"
    assert httpx.post(url, data={**CHALLENGED, "challenge": "complete"}).status_code == 303
    assert api.subscriptions.retrieve(subscription.id).status == "active"
    assert "Card number" not in httpx.get(url).text
    assert httpx.post(url, data=CARD).status_code == 200
    assert api.invoices.retrieve(subscription.latest_invoice.id).attempt_count == 2


@pytest.mark.parametrize(
    ("currency", "amount", "text"), [("jpy", 3000, "3000 JPY"), ("kwd", 6120, "6.120 KWD"), ("usd", 2000, "20.00 USD")]
)
def test_every_page_writes_an_amount_in_the_units_of_its_currency(
    api: Any, currency: str, amount: int, text: str
) -> None:
    given = {"currency": currency, "unit_amount": amount, "recurring": {"interval": "month"}}
    price = api.prices.create({"product": api.products.create({"name": "Plus"}).id, **given})
    subscription = subscribed(api, price, "pm_card_visa")
    invoice, back = subscription.latest_invoice, "http://127.0.0.1/"
    sold = {"mode": "subscription", "line_items": [{"price": price.id, "quantity": 1}], "success_url": back}
    checkout = api.checkout.sessions.create({"customer": subscription.customer, **sold})
    portal = api.billing_portal.sessions.create({"customer": subscription.customer, "return_url": back})
    for url in (invoice.hosted_invoice_url, invoice.invoice_pdf, checkout.url, portal.url):
        assert text in httpx.get(url).text.replace("\\", ""), url
    assert invoice.lines.data[0].description == f"1 × Plus (at {text} / month)"


def test_an_overdue_invoice_paid_on_its_page_heals_the_plan_and_a_decline_leaves_the_retries(
    api: Any, prices: list[Any], stripe_url: str
) -> None:
    subscription = subscribed(api, prices[0], "pm_card_visa")
    bad = api.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": subscription.customer}).id
    api.subscriptions.update(subscription.id, {"default_payment_method": bad})
    httpx.post(f"{stripe_url}/_ctl/time", json={"seconds": 32 * DAY}).raise_for_status()
    invoice = api.invoices.list({"customer": subscription.customer, "limit": 1}).data[0]
    assert (api.subscriptions.retrieve(subscription.id).status, invoice.status) == ("past_due", "open")
    failing = {**CARD, "number": "4000 0000 0000 0341"}
    assert httpx.post(invoice.hosted_invoice_url, data=failing).status_code == 402
    assert api.invoices.retrieve(invoice.id).next_payment_attempt == invoice.next_payment_attempt
    assert httpx.post(invoice.hosted_invoice_url, data=CARD).status_code == 303
    assert api.subscriptions.retrieve(subscription.id).status == "active"


def test_the_portal_switches_to_what_its_configuration_offers_and_hides_what_it_does_not_allow(
    api: Any, prices: list[Any]
) -> None:
    plus, pro = prices
    products = [{"product": pro.product, "prices": [pro.id]}]
    switching = {"enabled": True, "default_allowed_updates": ["price"], "products": products}
    features = {
        "subscription_update": {**switching, "proration_behavior": "always_invoice"},
        "subscription_cancel": {"enabled": False},
        "invoice_history": {"enabled": False},
    }
    configuration = api.billing_portal.configurations.create({"features": features})
    subscription = subscribed(api, plus, "pm_card_visa")
    given = {"customer": subscription.customer, "configuration": configuration.id}
    back = {"type": "redirect", "redirect": {"return_url": "http://127.0.0.1:1/plans"}}
    flow = {"type": "payment_method_update", "after_completion": back}
    session = api.billing_portal.sessions.create({**given, "flow_data": flow})
    page = httpx.get(session.url).text
    assert ("Pro · 49.99 USD" in page, "Cancel the plan" in page, "Invoices" in page) == (True, False, False)
    httpx.post(session.url, data={"action": "cancel", "subscription": subscription.id})
    assert not api.subscriptions.retrieve(subscription.id).cancel_at_period_end
    refused = httpx.post(session.url, data={"action": "switch", "subscription": subscription.id, "price": plus.id})
    assert refused.status_code == 402
    done = httpx.post(session.url, data={"action": "switch", "subscription": subscription.id, "price": pro.id})
    assert done.headers["location"] == "http://127.0.0.1:1/plans"
    assert api.subscriptions.retrieve(subscription.id)["items"].data[0].price.id == pro.id
    assert api.invoices.list({"customer": subscription.customer}).data[0].total == 2999


def test_no_page_runs_a_script_or_can_be_framed(api: Any, prices: list[Any], stripe_url: str) -> None:
    subscription = subscribed(api, prices[0], "pm_card_visa")
    session = api.billing_portal.sessions.create({"customer": subscription.customer})
    for address in (stripe_url, subscription.latest_invoice.hosted_invoice_url, session.url):
        page = httpx.get(address)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "no money moves" in page.text
        assert "<script" not in page.text
