"""How the simulated Stripe behaves as an API: keys, limits, versions, expansion, what is refused, what is forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from tests.stack.simulated_stripe import KEY

DAY = 86_400


@pytest.fixture
def control(stripe_url: str) -> Iterator[Any]:
    """Post to the control plane; afterwards all is as it was."""
    yield lambda plane, **given: httpx.post(f"{stripe_url}/_ctl/{plane}", json=given).raise_for_status()
    for path, given in (("rate_limit", {"per_second": 0}), ("skew", {"seconds": 0}), ("version", {})):
        httpx.post(f"{stripe_url}/_ctl/{path}", json=given).raise_for_status()
    httpx.delete(f"{stripe_url}/_ctl/faults").raise_for_status()


def ask(stripe_url: str, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {KEY}", **more.pop("headers", {})}
    return httpx.request(method, f"{stripe_url}{path}", headers=headers, **more)


def test_a_key_is_good_for_a_day_and_says_that_it_repeats(stripe_url: str, control: Any) -> None:
    headers = {"Idempotency-Key": "of a day"}
    first, again = (ask(stripe_url, "POST", "/v1/customers", headers=headers, data={"name": "Ann"}) for _ in range(2))
    assert (first.json()["id"], "idempotent-replayed" in first.headers) == (again.json()["id"], False)
    assert again.headers["idempotent-replayed"] == "true"
    control("time", seconds=DAY + 60)
    later = ask(stripe_url, "POST", "/v1/customers", headers=headers, data={"name": "Ann"})
    assert later.json()["id"] != first.json()["id"]


def test_a_key_whose_parameters_were_refused_can_be_used_again(api: Any) -> None:
    for _try in range(2):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            api.customers.create({"emial": "x"}, {"idempotency_key": "refused"})
        assert refused.value.code == "parameter_unknown"
    assert api.customers.create({"email": "x@example.org"}, {"idempotency_key": "refused"}).id


def test_version_two_tries_again_what_version_one_repeats(client: Any, stripe_url: str, control: Any) -> None:
    wanted = {
        "name": "ours",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["v1.customer.deleted"],
        "webhook_endpoint": {"url": "http://127.0.0.1:9"},
    }
    control("faults", kind="error_after_commit", path="/v2/core/event_destinations")
    options: Any = {"idempotency_key": "tried twice"}
    with pytest.raises(stripe.StripeError):
        client.v2.core.event_destinations.create(wanted, options)
    made = client.v2.core.event_destinations.create(wanted, options)
    assert [one.id for one in client.v2.core.event_destinations.list().data] == [made.id]
    client.v2.core.event_destinations.delete(made.id)


def test_an_event_names_the_request_and_the_key_that_it_comes_of(api: Any, stripe_url: str) -> None:
    headers = {"Idempotency-Key": "cause of it"}
    answer = ask(stripe_url, "POST", "/v1/customers", headers=headers, data={"name": "Ann"})
    event = api.events.list({"type": "customer.created", "limit": 1}).data[0]
    assert event.data.object.id == answer.json()["id"]
    assert event.request.to_dict() == {"id": answer.headers["request-id"], "idempotency_key": "cause of it"}


def test_more_requests_than_a_sandbox_allows_are_refused(stripe_url: str, control: Any) -> None:
    control("rate_limit", per_second=2)
    refused = None
    give_up_at = time.monotonic() + 30  # a machine that is too busy to ask three times a second tries again
    while refused is None and time.monotonic() < give_up_at:
        answers = [ask(stripe_url, "GET", "/v1/customers") for _request in range(4)]
        refused = next((answer for answer in answers if answer.status_code == 429), None)
    assert refused is not None
    assert refused.json()["error"]["code"] == "rate_limit"
    control("rate_limit", per_second=0)
    assert {ask(stripe_url, "GET", "/v1/customers").status_code for _request in range(10)} == {200}


def test_a_version_that_is_not_spoken_is_refused(stripe_url: str, api: Any, control: Any) -> None:
    old = ask(stripe_url, "GET", "/v1/customers", headers={"Stripe-Version": "2020-08-27"})
    assert (old.status_code, "2020-08-27" in old.text) == (400, True)
    assert ask(stripe_url, "GET", "/v1/customers").headers["stripe-version"] == stripe.api_version
    control("version", version="2027-03-31.fern")
    customer = api.customers.create({"name": "Ann"})
    assert api.events.list({"limit": 1}).data[0].api_version == "2027-03-31.fern"
    assert ask(stripe_url, "GET", "/v1/customers").headers["stripe-version"] == "2027-03-31.fern"
    control("version", version="2027-03-31.fern", is_retired=True)
    with pytest.raises(stripe.InvalidRequestError, match=r"Invalid Stripe API version"):
        api.customers.retrieve(customer.id)


def test_a_clock_that_is_wrong_dates_everything_wrong(api: Any, control: Any) -> None:
    control("skew", seconds=-900)
    assert time.time() - 1000 < api.customers.create({}).created - _offset(api, control) < time.time() - 800


def _offset(api: Any, control: Any) -> int:
    """By how much the account's time is ahead of real time by the tests before."""
    control("skew", seconds=0)
    ahead = api.customers.create({}).created - int(time.time())
    control("skew", seconds=-900)
    return int(ahead)


def test_a_replica_that_is_behind_does_not_know_the_last_change(api: Any, control: Any) -> None:
    customer = api.customers.create({"name": "before"})
    control("faults", kind="stale_read", path=f"/v1/customers/{customer.id}", method="GET")
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        api.customers.retrieve(customer.id)
    assert unknown.value.code == "resource_missing"
    api.customers.update(customer.id, {"name": "after"})
    control("faults", kind="stale_read", path=f"/v1/customers/{customer.id}", method="GET")
    assert [api.customers.retrieve(customer.id).name for _read in range(2)] == ["before", "after"]


def test_a_request_with_the_key_of_one_at_work_conflicts(api: Any, control: Any) -> None:
    control("faults", kind="key_in_use", method="POST")
    with pytest.raises(stripe.StripeError) as error:
        api.customers.create({}, {"idempotency_key": "at work"})
    assert (error.value.http_status, error.value.error.code) == (409, "idempotency_key_in_use")


def test_what_cannot_be_expanded_and_what_is_not_known_is_refused(api: Any) -> None:
    customer = api.customers.create({"email": "ann@example.org"})
    refusals = [
        lambda: api.customers.retrieve(customer.id, {"expand": ["email"]}),
        lambda: api.customers.retrieve(customer.id, {"expand": ["colour"]}),
        lambda: api.customers.list({"expand": ["data.a.b.c.d.e"]}),
        lambda: api.customers.retrieve(customer.id, {"colour": "red"}),
        lambda: api.products.list({"colour": "red"}),
        lambda: api.customers.list({"created": {"after": 1}}),
        lambda: api.customers.list({"limit": 101}),
        lambda: api.customers.list({"limit": "many"}),
        lambda: api.customers.list({"starting_after": "cus_a", "ending_before": "cus_b"}),
    ]
    for ask_for in refusals:
        with pytest.raises(stripe.InvalidRequestError):
            ask_for()
    assert api.customers.retrieve(customer.id, {"expand": ["subscriptions", "tax_ids"]}).subscriptions.data == []


def test_a_page_goes_back_as_it_goes_on(api: Any) -> None:
    made = [api.customers.create({"email": "to and fro@example.org"}).id for _ in range(5)][::-1]
    wanted = {"email": "to and fro@example.org", "limit": 2}
    back = api.customers.list({**wanted, "ending_before": made[3]})
    assert ([one.id for one in back.data], back.has_more) == (made[1:3], True)
    assert [one.id for one in back.auto_paging_iter()] == [made[2], made[1], made[0]]


def test_events_are_told_for_thirty_days(api: Any, client: Any, control: Any) -> None:
    api.customers.create({"name": "long ago"})
    event = api.events.list({"limit": 1}).data[0]
    control("time", seconds=31 * DAY)
    assert event.id not in [one.id for one in api.events.list({"limit": 100}).data]
    with pytest.raises(stripe.InvalidRequestError, match="No such event"):
        api.events.retrieve(event.id)
    with pytest.raises(stripe.InvalidRequestError, match="No such event"):
        client.v2.core.events.retrieve(event.id.replace("evt_", "evt_test_", 1))


def test_customers_are_forgotten_and_what_is_sold_stays(api: Any, stripe_url: str) -> None:
    product, customer = api.products.create({"name": "Plus"}), api.customers.create({})
    httpx.delete(f"{stripe_url}/_ctl/customers").raise_for_status()
    assert api.products.retrieve(product.id).name == "Plus"
    assert (api.customers.list().data, api.events.list().data) == ([], [])
    with pytest.raises(stripe.InvalidRequestError):
        api.customers.retrieve(customer.id)


def test_a_price_has_other_currencies_for_whoever_asks(api: Any) -> None:
    product = api.products.create({"name": "Plus"})
    options = {"eur": {"unit_amount": 1800}}
    given = {"currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}, "currency_options": options}
    price = api.prices.create({"product": product.id, **given})
    assert "currency_options" not in price.to_dict()
    told = api.prices.retrieve(price.id, {"expand": ["currency_options"]}).currency_options
    assert {currency: told[currency]["unit_amount"] for currency in told.to_dict()} == {"usd": 2000, "eur": 1800}


def test_checkout_charges_a_price_in_the_currency_of_who_buys(api: Any) -> None:
    product = api.products.create({"name": "Plus"})
    options = {"eur": {"unit_amount": 1800}}
    given = {"currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}, "currency_options": options}
    price = api.prices.create({"product": product.id, **given})
    customer = api.customers.create({"email": "ann@example.org"})

    def opened(**more: Any) -> Any:
        items = [{"price": price.id, "quantity": 2}]
        wanted = {"mode": "subscription", "customer": customer.id, "line_items": items, "success_url": "http://x.test/"}
        return api.checkout.sessions.create({**wanted, **more})

    assert (opened().currency, opened().amount_total) == ("usd", 4000)
    session = opened(currency="eur")
    assert (session.currency, session.amount_total) == ("eur", 3600)
    with pytest.raises(stripe.InvalidRequestError, match="only supports"):
        opened(currency="cny")
    assert "36.00 EUR" in httpx.get(session.url).text
    paid = httpx.post(session.url, data={"number": "4242424242424242", "expiry": "12/34", "cvc": "123"})
    assert paid.status_code == 303
    invoice = api.invoices.list({"customer": customer.id}).data[0]
    assert (invoice.currency, invoice.amount_paid) == ("eur", 3600)
    assert opened().currency == "eur", "who has paid in euros goes on doing so"
