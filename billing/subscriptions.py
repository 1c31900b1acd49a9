"""Change a running subscription: up at once and paid at once, down when the period ends, away, and back again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing import catalogue, commands, entitlements, mirror, stripe, turns
from billing.models import Price, Subscription


class CannotChange(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """`code` is `same`, `currency`, `not_open`, `given_back`, `cancelled`, `not_paid`, `busy` (an earlier wish is still
    under way) or Stripe's own."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CancelReason(models.TextChoices):
    """Stripe's own list, so that its reports count the same."""

    TOO_EXPENSIVE = "too_expensive", _("It costs too much")
    MISSING_FEATURES = "missing_features", _("Something I need is missing")
    LOW_QUALITY = "low_quality", _("The replies are not good enough")
    UNUSED = "unused", _("I do not use it enough")
    SWITCHED_SERVICE = "switched_service", _("I use another service")
    TOO_COMPLEX = "too_complex", _("It is too hard to use")
    CUSTOMER_SERVICE = "customer_service", _("I was not helped well")
    OTHER = "other", _("Something else")


# Of which the bill for the present period is open.
UNPAID = (Subscription.Status.PAST_DUE, Subscription.Status.UNPAID)


class Direction(StrEnum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Change:
    """What a change would do: `up` is billed `due` now, `down` costs nothing and starts at `starts_at`.

    A trial is of the plan that it was begun with: going up ends it.
    """

    direction: Direction
    price: Price
    quantity: int
    due: int
    currency: str
    lines: tuple[tuple[str, int], ...]
    starts_at: datetime
    ends_trial: bool = False

    @property
    def renews_for(self) -> int:
        return self.price.unit_amount * self.quantity


def preview(*, subscription: Subscription, price: Price, quantity: int, now: datetime) -> Change:
    """The change and what it costs, to the cent, if it is confirmed with the same `now`.

    Raises `CannotChange` and `stripe.StripeUnavailable`.
    """
    price, quantity = _checked(subscription, price, quantity)
    direction = _direction(subscription, price, quantity)
    if direction == Direction.DOWN:
        starts_at = subscription.period_end or now
        return Change(direction, price, quantity, 0, price.currency, (), starts_at)
    facts = stripe.preview_change(
        subscription_id=subscription.stripe_id,
        item_id=subscription.item_id,
        price_id=price.stripe_price_id,
        quantity=quantity,
        at=now,
        ends_trial=_is_trial(subscription),
    )
    lines = _lines_to_the_cent(facts)
    return Change(
        direction, price, quantity, facts.amount_due, facts.currency, lines, now, ends_trial=_is_trial(subscription)
    )


def _lines_to_the_cent(facts: stripe.PreviewFacts) -> tuple[tuple[str, int], ...]:
    """What is billed, line by line, so that together they are what is due."""
    tax = facts.total - sum(amount for _text, amount in facts.lines) + facts.discount
    further = (
        (gettext("Discount"), -facts.discount),
        (gettext("Tax"), tax),
        (gettext("Credit on your account"), facts.amount_due - facts.total),
    )
    return (*facts.lines, *((text, amount) for text, amount in further if amount))


def change(
    *, subscription: Subscription, price: Price, quantity: int, wish_id: uuid.UUID, at: datetime, now: datetime
) -> Direction:
    """Do what `preview` at `at` said. A higher plan is given when Stripe says that it was paid, never before.

    Raises `CannotChange` and `stripe.StripeUnavailable`.
    """
    with _wish(subscription, str(wish_id), now):
        for kind, done in (("update_subscription", Direction.UP), ("schedule_price", Direction.DOWN)):
            if commands.is_done(_key(kind, subscription, wish_id)):  # by the first of two clicks
                return done
        price, quantity = _checked(subscription, price, quantity)
        direction = _direction(subscription, price, quantity)
        if direction == Direction.DOWN:
            _schedule(subscription, price, quantity, wish_id, now)
        else:
            _release_schedule(subscription, wish_id, now)
            parameters = {
                "items": [{"id": subscription.item_id, "price": price.stripe_price_id, "quantity": quantity}],
                "proration_behavior": "always_invoice",
                **stripe.moment_of_change(at, ends_trial=_is_trial(subscription)),
                "payment_behavior": "pending_if_incomplete",
            }
            _run(subscription, "update_subscription", {"change": parameters}, wish_id, now)
        _refresh(subscription, "change of plan", now)
    return direction


def cancel(*, subscription: Subscription, reason: str, comment: str, wish_id: uuid.UUID, now: datetime) -> None:
    """End it when what was paid for ends, and tell Stripe why. Raises `CannotChange`, `stripe.StripeUnavailable`.

    Where nothing is paid for, as the money went back or never came, it ends at once: Stripe would try the card again.
    """
    details = {"feedback": reason} | ({"comment": comment[:500]} if comment else {})
    with _wish(subscription, str(wish_id), now):
        if ends_at_once(subscription):
            _end(subscription, "cancelled by the customer", now, details)
            return
        _release_schedule(subscription, wish_id, now)
        parameters = {"cancel_at_period_end": True, "cancellation_details": details}
        _run(subscription, "update_subscription", {"change": parameters}, wish_id, now)
        _refresh(subscription, "cancelled by the customer", now)


def ends_at_once(subscription: Subscription) -> bool:
    """Whether cancelling takes nothing away that was paid for."""
    return subscription.status in UNPAID or entitlements.money_was_given_back(subscription)


def resume(*, subscription: Subscription, wish_id: uuid.UUID, now: datetime) -> None:
    """Take back a cancellation or a downgrade that has not begun. Raises `CannotChange`, `stripe.StripeUnavailable`."""
    with _wish(subscription, str(wish_id), now):
        _release_schedule(subscription, wish_id, now)
        if subscription.cancels_at or not subscription.next_price_id:
            _run(subscription, "update_subscription", {"change": {"cancel_at_period_end": False}}, wish_id, now)
        _refresh(subscription, "resumed by the customer", now)


def end_now(*, subscription: Subscription, why: str, now: datetime) -> None:
    """Stop billing at once. Raises `CannotChange`, `stripe.StripeUnavailable`."""
    with _wish(subscription, subscription.stripe_id, now):
        _end(subscription, why, now)


def _end(subscription: Subscription, why: str, now: datetime, details: dict[str, str] | None = None) -> None:
    options = {"prorate": False, "invoice_now": False} | ({"cancellation_details": details} if details else {})
    parameters = {"subscription": subscription.stripe_id, "options": options}
    _checked_run("cancel_subscription", f"end:{subscription.stripe_id}", subscription, parameters, now)
    _refresh(subscription, why, now)


def refund(*, invoice_id: str, subscription: Subscription, why: str, now: datetime) -> None:
    """Give back all that was paid for an invoice; what it paid for ends with it, and is not billed again.

    Asking twice gives back once; asking again after a refund that never arrived makes another. Raises `CannotChange`,
    and `stripe.StripeUnavailable` where both are done as soon as Stripe answers.
    """
    payment = stripe.payment_of_invoice(invoice_id)
    if not payment:
        raise CannotChange("not_paid")
    with _turn(subscription):
        failed = sum(refund.is_failed for refund in stripe.refunds_of_payment(payment))
        key = f"refund:{invoice_id}:{failed}" if failed else f"refund:{invoice_id}"
        wanted = {"payment_intent": payment, "paid_for": subscription.stripe_id, "why": why[:400]}
        _checked_run("create_refund", key, subscription, wanted, now)


@contextmanager
def _wish(subscription: Subscription, wish: str, now: datetime) -> Iterator[None]:
    """The subscription's turn, with the row as it is by then."""
    with _turn(subscription):
        _begin_wish(subscription, wish, now)
        yield


@contextmanager
def _turn(subscription: Subscription) -> Iterator[None]:
    try:
        with turns.newest(subscription.stripe_id):
            yield
    except turns.NotYourTurn as problem:
        raise CannotChange("busy") from problem


def _begin_wish(subscription: Subscription, wish: str, now: datetime) -> None:
    """What was wished before counts no more; what Stripe may have heard of it without our knowing is looked up."""
    if commands.supersede(subscription.stripe_id, wish=wish, now=now):
        _refresh(subscription, "an earlier wish had no answer", now)
    subscription.refresh_from_db()


def _checked(subscription: Subscription, price: Price, quantity: int) -> tuple[Price, int]:
    is_running = subscription.status in (Subscription.Status.ACTIVE, Subscription.Status.TRIALING)
    if not is_running or subscription.is_trial_refused:
        raise CannotChange("not_open")
    if entitlements.money_was_given_back(subscription):
        raise CannotChange("given_back")
    if subscription.cancels_at:  # what is paid for now would end with the rest
        raise CannotChange("cancelled")
    if price.currency != subscription.currency:
        raise CannotChange("currency")
    price = catalogue.ensure_at_stripe(price)
    quantity = quantity if price.plan.is_per_seat else 1
    if price.stripe_price_id == subscription.price_id and quantity == subscription.quantity:
        raise CannotChange("same")
    return price, quantity


def _direction(subscription: Subscription, price: Price, quantity: int) -> Direction:
    """Up when the plan, the seats or the paid period grow; whatever gives less waits for the end of the period, and so
    does what takes a seat from somebody whose seat is paid for."""
    if quantity < subscription.quantity:
        return Direction.DOWN
    position = subscription.plan.position if subscription.plan else 0
    if price.plan.position != position:
        return Direction.UP if price.plan.position > position else Direction.DOWN
    if price.interval != subscription.interval:
        return Direction.UP if price.interval == Price.Interval.YEAR else Direction.DOWN
    return Direction.UP if quantity > subscription.quantity else Direction.DOWN


def _is_trial(subscription: Subscription) -> bool:
    return subscription.status == Subscription.Status.TRIALING


def _schedule(subscription: Subscription, price: Price, quantity: int, wish_id: uuid.UUID, now: datetime) -> None:
    _run(subscription, "schedule_price", {"price": price.stripe_price_id, "quantity": quantity}, wish_id, now)


def _release_schedule(subscription: Subscription, wish_id: uuid.UUID, now: datetime) -> None:
    """A schedule stands in the way of every other change."""
    if subscription.schedule_id:
        _run(subscription, "release_schedule", {"schedule": subscription.schedule_id}, wish_id, now)


def _run(subscription: Subscription, kind: str, parameters: dict[str, Any], wish_id: uuid.UUID, now: datetime) -> None:
    values = {"subscription": subscription.stripe_id, **parameters}
    _checked_run(kind, _key(kind, subscription, wish_id), subscription, values, now)


def _key(kind: str, subscription: Subscription, wish_id: uuid.UUID) -> str:
    return f"{kind}:{subscription.stripe_id}:{wish_id}"


def _checked_run(kind: str, key: str, subscription: Subscription, parameters: dict[str, Any], now: datetime) -> None:
    user = subscription.customer.user
    try:
        commands.run(kind=kind, key=key, user=user, parameters=parameters, now=now)
    except commands.CommandRefused as refused:
        raise CannotChange(refused.code) from refused


def _refresh(subscription: Subscription, cause: str, now: datetime) -> None:
    fresh = mirror.refresh_subscription(subscription.stripe_id, cause=cause, now=now)
    if fresh and fresh.latest_invoice_id:
        mirror.refresh_invoice(fresh.latest_invoice_id, cause=cause, now=now)
