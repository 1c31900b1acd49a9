"""People who buy at a simulated Stripe: what tests of billing do again and again."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import httpx
from django.utils import timezone

from accounts.models import User
from billing import checkout, subscriptions
from billing.entitlements import entitlement_of
from billing.models import Price, Subscription
from tests.stack.stripe_sandbox import sandbox_key, subscribe

PAID, DECLINED, CHALLENGED = "4242424242424242", "4000000000000002", "4000002500003155"


def newcomer(name: str = "ann") -> User:
    return User.objects.create_user(f"{name}-{uuid.uuid4().hex[:8]}@example.org")


def price(plan: str = "plus", interval: str = "month", currency: str = "usd") -> Price:
    return Price.objects.get(plan=plan, interval=interval, currency=currency)


def open_checkout(user: User, **wanted: Any) -> str:
    """The address of the payment page for Plus by the month, or what was `wanted` instead."""
    options = {"price": price(), "quantity": 1, "wish_id": uuid.uuid4(), "language": "en", "now": timezone.now()}
    return checkout.start(user=user, **{**options, **wanted})


def pay(url: str, number: str = PAID, **fields: str) -> httpx.Response:
    """Fill in the card form; paid when the answer leads back to us."""
    return httpx.post(url, data={"number": number, "expiry": "12/34", "cvc": "123", **fields}, timeout=30)


def come_back(user: User, answer: httpx.Response) -> Subscription | None:
    session_id = answer.headers["location"].partition("session_id=")[2]
    return checkout.complete(user=user, session_id=session_id, now=timezone.now())


def buy(user: User, **wanted: Any) -> Subscription:
    """A subscription that is paid on the payment page, or at a real Stripe through its API."""
    if sandbox_key():
        return subscribe(user, wanted.get("price") or price(), quantity=wanted.get("quantity", 1))
    bought = come_back(user, pay(open_checkout(user, **wanted)))
    assert bought is not None
    return bought


def plan_of(user: User) -> str:
    return entitlement_of(user, now=timezone.now()).plan_key


def cancel(subscription: Subscription, now: datetime) -> None:
    how: dict[str, Any] = {"reason": "unused", "comment": "", "wish_id": uuid.uuid4(), "now": now}
    subscriptions.cancel(subscription=subscription, **how)


def resume(subscription: Subscription, now: datetime) -> None:
    subscriptions.resume(subscription=subscription, wish_id=uuid.uuid4(), now=now)
