"""Webhook endpoints made through the API, their secrets, and what else events tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from tests.integration.sandbox.conftest import Inbox
from tests.integration.sandbox.typed_fields import differences


@pytest.fixture
def endpoint(client: Any, inbox: Inbox) -> Iterator[Any]:
    inbox.empty()
    made = client.v1.webhook_endpoints.create({"url": inbox.url, "enabled_events": ["customer.updated"]})
    yield made
    client.v1.webhook_endpoints.delete(made.id)


def renamed(client: Any, inbox: Inbox, number: int) -> tuple[bytes, str]:
    """What the endpoint got of a customer's change, the `number`th that it got."""
    customer = client.v1.customers.create({"name": "Ann"})
    client.v1.customers.update(customer.id, {"name": "Anna"})
    return inbox.letter(number)


def test_an_endpoint_gets_what_it_asked_for_signed_with_the_secret_that_was_told_once(
    client: Any, endpoint: Any, inbox: Inbox
) -> None:
    assert sorted(differences(endpoint)) == []
    event = stripe.Webhook.construct_event(*renamed(client, inbox, 1), endpoint.secret)
    assert (event.type, event.data.object.name) == ("customer.updated", "Anna")
    assert "secret" not in client.v1.webhook_endpoints.retrieve(endpoint.id).to_dict()
    assert [one.id for one in client.v1.webhook_endpoints.list().data] == [endpoint.id]


def test_an_endpoint_can_be_changed_and_disabled(client: Any, endpoint: Any) -> None:
    endpoints = client.v1.webhook_endpoints
    changed = endpoints.update(endpoint.id, {"enabled_events": ["customer.deleted"], "description": "ours"})
    assert (changed.enabled_events, changed.description) == (["customer.deleted"], "ours")
    assert endpoints.update(endpoint.id, {"disabled": True}).status == "disabled"
    for wrong in ({"url": "ftp://x"}, {"url": "nowhere"}, {"enabled_events": []}, {"colour": "red"}):
        with pytest.raises(stripe.InvalidRequestError):
            endpoints.create({"url": "http://127.0.0.1:9", "enabled_events": ["*"], **wrong})


def test_a_rolled_secret_signs_beside_the_old_one_while_that_holds(
    client: Any, endpoint: Any, inbox: Inbox, stripe_url: str
) -> None:
    rolled = {"endpoint": endpoint.id, "old_holds_for": 3600}
    secret = httpx.post(f"{stripe_url}/_ctl/secret", json=rolled).json()["secret"]
    body, header = renamed(client, inbox, 1)
    assert header.count("v1=") == 2
    for one in (endpoint.secret, secret):
        assert stripe.Webhook.construct_event(body, header, one)
    httpx.post(f"{stripe_url}/_ctl/time", json={"seconds": 3601}).raise_for_status()
    body, header = renamed(client, inbox, 2)
    assert header.count("v1=") == 1
    assert stripe.Webhook.construct_event(body, header, secret)


def test_who_gains_or_loses_a_feature_is_told(api: Any) -> None:
    feature = api.entitlements.features.create({"name": "API", "lookup_key": "api of this test"})
    product = api.products.create({"name": "Plus"})
    link = api.products.features.create(product.id, {"entitlement_feature": feature.id})
    given = {"currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}}
    price = api.prices.create({"product": product.id, **given})
    customer = api.customers.create({"payment_method": "pm_card_visa"})
    card = api.payment_methods.list({"customer": customer.id}).data[0].id
    items = [{"price": price.id}]
    made = api.subscriptions.create({"customer": customer.id, "items": items, "default_payment_method": card})
    name = "entitlements.active_entitlement_summary.updated"
    gained = api.events.list({"type": name, "limit": 1}).data[0].data.object
    assert sorted(differences(gained)) == []
    assert [one.lookup_key for one in gained.entitlements.data] == ["api of this test"]
    entitlement = gained.entitlements.data[0]
    assert api.entitlements.active_entitlements.retrieve(entitlement.id).feature == feature.id
    api.subscriptions.cancel(made.id)
    assert api.events.list({"type": name, "limit": 1}).data[0].data.object.entitlements.data == []
    assert not api.entitlements.features.update(feature.id, {"active": False}).active
    assert api.products.features.delete(product.id, link.id).deleted


def test_objects_are_found_by_what_they_say(api: Any) -> None:
    made = api.customers.create({"email": "seek@example.org", "name": 'Bo "B" Li', "metadata": {"user": "77"}})
    api.customers.create({"email": "other@example.org", "metadata": {"user": "78"}})
    for query in (
        'email:"seek@example.org"', 'metadata["user"]:"77"', "metadata['user']:'77' AND created>1000", 'name~"li"',
        'name:"bo \\"b\\" li"', 'email~"seek" -metadata["user"]:"78"',
    ):  # fmt: skip
        assert [one.id for one in api.customers.search({"query": query}).data] == [made.id], query
    both = api.customers.search({"query": 'metadata["user"]:"77" OR metadata["user"]:"78"', "limit": 1})
    assert len(list(both.auto_paging_iter())) == 2
    for wrong in ("email", 'colour:"red"', 'email:"a" AND name:"b" OR name:"c"', 'metadata:"x"', 'created>"soon"'):
        with pytest.raises(stripe.InvalidRequestError):
            api.customers.search({"query": wrong})
