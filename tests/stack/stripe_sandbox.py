"""The journeys at a real Stripe sandbox: set `STRIPE_SANDBOX_KEY`, and tests that can are run there.

What a person would do on Stripe's own pages is done through its API then, with Stripe's test payment methods; tests
that fill in the forms of the simulated pages, or make the simulated Stripe fail, are skipped. `STRIPE_SANDBOX_BASE` is
for trying that way at a simulated Stripe.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.models import User
from billing import checkout, mirror
from billing.models import Customer, Price, Subscription
from billing.stripe import client as sdk
from tests.waiting import wait_until

PAID, DECLINED_LATER = "pm_card_visa", "pm_card_chargeCustomerFail"
SECONDS_TO_ADVANCE = 120


def sandbox_key() -> str:
    """The key of a real sandbox, if one is to be used. Raises for a key that could move money."""
    key = os.environ.get("STRIPE_SANDBOX_KEY", "")
    if key and not key.startswith(("sk_test_", "rk_test_")):
        raise pytest.UsageError("STRIPE_SANDBOX_KEY has to be a test key (sk_test_…): these tests buy and cancel.")
    return key


only_simulated = pytest.mark.skipif(
    bool(os.environ.get("STRIPE_SANDBOX_KEY")), reason="needs the pages or the faults of the simulated Stripe"
)


@pytest.fixture
def at_stripe(request: pytest.FixtureRequest, settings: Any) -> None:
    """This process asks the sandbox whose key is set, else the simulated Stripe; plans are there, without trials."""
    key = sandbox_key()
    if not key:
        request.getfixturevalue("at_simulated_stripe")
        return
    request.getfixturevalue("alone")
    from billing import catalogue
    from billing.models import Plan
    from billing.plans import seed_plans

    settings.STRIPE_API_BASE = os.environ.get("STRIPE_SANDBOX_BASE", "")
    settings.STRIPE_API_KEY = key
    seed_plans()
    Plan.objects.update(trial_days=0)
    catalogue.sync()


def subscribe(user: User, price: Price, *, quantity: int = 1, card: str = PAID) -> Subscription:
    """What Checkout does with our session, done through the API."""
    customer = Customer.objects.filter(user=user).first() or checkout.ensure_customer(user, now=datetime.now(UTC))
    method = sdk.api().payment_methods.attach(card, {"customer": customer.stripe_id})
    wanted: dict[str, Any] = {
        "customer": customer.stripe_id,
        "items": [{"price": price.stripe_price_id, "quantity": quantity}],
        "default_payment_method": method.id,
        "metadata": {"user": str(user.pk)},
        "off_session": True,
    }
    if checkout.may_try(user, price):
        wanted["trial_period_days"] = price.plan.trial_days
    made = sdk.api().subscriptions.create(wanted)
    saved = mirror.refresh_subscription(made.id, cause="return from Checkout", now=datetime.now(UTC))
    assert saved is not None
    return saved


class Clock:
    """A test clock and the one customer who lives by it."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._id = sdk.api().test_helpers.test_clocks.create({"frozen_time": int(time.time())}).id
        values = {"test_clock": self._id, "email": user.email, "metadata": {"user": str(user.pk)}}
        Customer.objects.create(user=user, stripe_id=sdk.api().customers.create(values).id)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.frozen_time, tz=UTC)

    @property
    def _clock(self) -> Any:
        return sdk.api().test_helpers.test_clocks.retrieve(self._id)

    def advance(self, moment: datetime) -> None:
        """Let the time come, and hear what it brought."""
        sdk.api().test_helpers.test_clocks.advance(self._id, {"frozen_time": int(moment.timestamp())})
        wait_until(lambda: self._clock.status == "ready", seconds=SECONDS_TO_ADVANCE)
        for subscription in Subscription.objects.filter(customer__user=self._user):
            mirror.refresh_subscription(subscription.pk, cause="the clock", now=self.now)

    def delete(self) -> None:
        """With its customer, who would be cancelled and forgotten by Stripe a month later."""
        sdk.api().test_helpers.test_clocks.delete(self._id)
