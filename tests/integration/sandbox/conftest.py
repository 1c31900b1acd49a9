"""Stripe's own SDK pointed at the simulated Stripe of the module, and a server that its webhooks reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from tests.stack.receiver import Received, Receiver, receiving
from tests.stack.simulated_stripe import KEY
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def client(stripe_url: str) -> Any:
    return stripe.StripeClient(KEY, base_addresses={"api": stripe_url}, max_network_retries=0)


@pytest.fixture(scope="module")
def api(client: stripe.StripeClient) -> Any:
    return client.v1


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with receiving() as receiver:
        yield Inbox(receiver)


class Inbox:
    """What an endpoint got, as the SDK's readers take it: body and signature."""

    def __init__(self, receiver: Receiver) -> None:
        self.url = receiver.url
        self._received: list[Received] = receiver.received

    def empty(self) -> None:
        self._received.clear()

    def letter(self, number: int) -> tuple[bytes, str]:
        """The one that came as the `number`th since it was emptied; waits for it."""
        wait_until(lambda: len(self._received) >= number, seconds=20)
        letter = self._received[number - 1]
        return letter.body, letter.headers["stripe-signature"]
