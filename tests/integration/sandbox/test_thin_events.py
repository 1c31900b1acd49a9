"""Thin events of the simulated Stripe, as the SDK's own reader of them sees them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from tests.integration.sandbox.conftest import Inbox
from tests.integration.sandbox.typed_fields import differences
from tests.stack.simulated_stripe import KEY


@pytest.fixture
def destination(client: Any, inbox: Inbox) -> Iterator[Any]:
    inbox.empty()
    made = client.v2.core.event_destinations.create(
        {
            "name": "ours",
            "type": "webhook_endpoint",
            "event_payload": "thin",
            "enabled_events": ["v1.customer.updated", "v1.customer.deleted"],
            "webhook_endpoint": {"url": inbox.url},
            "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
        }
    )
    yield made
    client.v2.core.event_destinations.delete(made.id)


def notification(client: Any, inbox: Inbox, destination: Any) -> Any:
    """The first that the destination got."""
    return client.parse_event_notification(*inbox.letter(1), destination.webhook_endpoint.signing_secret)


def test_a_thin_event_is_signed_names_its_object_and_leads_to_both(client: Any, destination: Any, inbox: Inbox) -> None:
    assert sorted(differences(destination)) == []
    customer = client.v1.customers.create({"name": "Ann"})
    client.v1.customers.update(customer.id, {"name": "Anna"})
    told = notification(client, inbox, destination)
    # Of its creation nothing was asked to be told.
    assert (told.type, told.related_object.id) == ("v1.customer.updated", customer.id)
    assert told.fetch_related_object().name == "Anna"
    event = told.fetch_event()
    assert sorted(differences(event)) == []
    assert event.changes.to_dict() == {"before": {"name": "Ann"}, "after": {"name": "Anna"}}
    assert client.v1.events.retrieve(event.snapshot_event).type == "customer.updated"
    with pytest.raises(stripe.SignatureVerificationError):
        client.parse_event_notification(*inbox.letter(1), "whsec_of_somebody_else")


def test_a_disabled_destination_is_told_nothing_and_secrets_are_told_once(
    client: Any, destination: Any, inbox: Inbox
) -> None:
    destinations = client.v2.core.event_destinations
    assert destinations.retrieve(destination.id).webhook_endpoint.signing_secret is None
    customer = client.v1.customers.create({})
    assert destinations.disable(destination.id).status == "disabled"
    client.v1.customers.update(customer.id, {"name": "unheard"})
    assert destinations.enable(destination.id).status == "enabled"
    client.v1.customers.update(customer.id, {"name": "heard"})
    told = notification(client, inbox, destination)
    assert told.fetch_event().changes["after"]["name"] == "heard"


def test_a_destination_is_renamed_and_pinged(client: Any, destination: Any, inbox: Inbox) -> None:
    destinations = client.v2.core.event_destinations
    assert destinations.update(destination.id, {"name": "theirs"}).name == "theirs"
    assert destinations.ping(destination.id).type == "v2.core.event_destination.ping"
    told = notification(client, inbox, destination)
    assert (told.type, told.related_object.id) == ("v2.core.event_destination.ping", destination.id)


def test_a_bad_request_gets_a_reason(client: Any, stripe_url: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    address = f"{stripe_url}/v2/core/event_destinations"
    for body in ("[]", "{", '{"type": "amazon_eventbridge"}'):
        assert httpx.post(address, headers=headers, content=body).status_code == 400
