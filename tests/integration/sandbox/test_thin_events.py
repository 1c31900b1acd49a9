"""Thin events of the simulated Stripe, as the SDK's own reader of them sees them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from tests.integration.sandbox.typed_fields import differences
from tests.stack.simulated_stripe import KEY
from tests.waiting import wait_until


class Inbox(http.server.BaseHTTPRequestHandler):
    received: list[tuple[bytes, str]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Inbox.received.append((body, self.headers["Stripe-Signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def client(stripe_url: str) -> stripe.StripeClient:
    addresses: Any = {"api": stripe_url}
    return stripe.StripeClient(KEY, base_addresses=addresses, max_network_retries=0)


@pytest.fixture
def destination(client: Any) -> Iterator[Any]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = client.v2.core.event_destinations.create(
        {
            "name": "ours",
            "type": "webhook_endpoint",
            "event_payload": "thin",
            "enabled_events": ["v1.customer.updated", "v1.customer.deleted"],
            "webhook_endpoint": {"url": f"http://127.0.0.1:{server.server_port}"},
            "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
        }
    )
    yield made
    client.v2.core.event_destinations.delete(made.id)
    server.shutdown()


def next_notification(client: Any, secret: str, count: int) -> Any:
    wait_until(lambda: len(Inbox.received) >= count, seconds=20)
    return client.parse_event_notification(*Inbox.received[count - 1], secret)


def test_a_thin_event_is_signed_names_its_object_and_leads_to_both(client: Any, destination: Any) -> None:
    Inbox.received.clear()
    assert sorted(differences(destination)) == []
    customer = client.v1.customers.create({"name": "Ann"})
    client.v1.customers.update(customer.id, {"name": "Anna"})
    secret = destination.webhook_endpoint.signing_secret
    told = next_notification(client, secret, 1)
    # Of its creation nothing was asked to be told.
    assert (told.type, told.related_object.id) == ("v1.customer.updated", customer.id)
    assert told.fetch_related_object().name == "Anna"
    event = told.fetch_event()
    assert sorted(differences(event)) == []
    assert event.changes.to_dict() == {"before": {"name": "Ann"}, "after": {"name": "Anna"}}
    assert client.v1.events.retrieve(event.snapshot_event).type == "customer.updated"
    with pytest.raises(stripe.SignatureVerificationError):
        client.parse_event_notification(*Inbox.received[0], "whsec_of_somebody_else")


def test_a_disabled_destination_is_told_nothing_and_secrets_are_told_once(client: Any, destination: Any) -> None:
    Inbox.received.clear()
    destinations = client.v2.core.event_destinations
    assert destinations.retrieve(destination.id).webhook_endpoint.signing_secret is None
    customer = client.v1.customers.create({})
    assert destinations.disable(destination.id).status == "disabled"
    client.v1.customers.update(customer.id, {"name": "unheard"})
    assert destinations.enable(destination.id).status == "enabled"
    client.v1.customers.update(customer.id, {"name": "heard"})
    told = next_notification(client, destination.webhook_endpoint.signing_secret, 1)
    assert told.fetch_event().changes["after"]["name"] == "heard"


def test_a_bad_request_gets_a_reason(client: Any, stripe_url: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    address = f"{stripe_url}/v2/core/event_destinations"
    for body in ("[]", "{", '{"type": "amazon_eventbridge"}'):
        assert httpx.post(address, headers=headers, content=body).status_code == 400
