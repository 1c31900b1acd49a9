"""Take events from Stripe, keep them, and bring our copies up to date.

`opened` verifies before anything is written, `store_together` stores each event once by its id. `process_waiting`
works the table off: the payload only says which object to fetch afresh (see `billing.mirror`), and is emptied then,
because it has names and addresses that need not be kept twice. A crash anywhere leaves
the row waiting; what fails is tried again ever later, and at last given up for staff to look at and replay.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from billing import checkout, mirror, stripe
from billing.models import StripeEvent, Subscription

logger = logging.getLogger(__name__)

LARGEST_BODY = 512 * 1024
FIRST_RETRY = timedelta(seconds=20)
LONGEST_WAIT = timedelta(hours=6)
# An answer of Stripe's may be a little older than the event that led to it.
UNTIL_FOUND = timedelta(minutes=2)
# Stripe keeps events for 30 days; a pass looks back further than the hour between two passes.
BACKFILL_HORIZON = timedelta(hours=26)


class BadEvent(ValueError):  # noqa: N818 - reads as what it is at the place that raises it
    """Signed, but not an event that we could ever use."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event as it came, and when."""

    event: stripe.EventFacts
    body: bytes
    received_at: datetime
    source: str = "webhook"


# One statement, whose commit is the acknowledgement: Stripe waits for it, and sends many at once.
_STORE = """
INSERT INTO billing_stripeevent AS known (stripe_id, type, object_type, object_id, api_version, occurred_at, source,
  body, state, attempts, next_attempt_at, error, received_at, finished_at)
VALUES {rows}
ON CONFLICT (stripe_id) DO UPDATE SET next_attempt_at = EXCLUDED.next_attempt_at
WHERE known.state = 'waiting' AND known.next_attempt_at > EXCLUDED.next_attempt_at AND EXCLUDED.source = 'webhook'
RETURNING stripe_id, xmax = 0
"""
_ROW = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, 0, %s, '', %s, %s)"


def opened(*, body: bytes, signature: str, now: datetime) -> Delivery:
    """The event in a post, verified. Raises `stripe.BadSignature` or `BadEvent`; nothing is written here."""
    stripe.verify(body, signature)
    return Delivery(_parsed(body), body, now)


def store_together(deliveries: Sequence[Delivery]) -> set[str]:
    """Insert the events that are not known yet, all of them or none; returns the ids of those that were new.

    What is of no concern to us is stored as worked off. A repeated delivery makes an unfinished one due at once.
    """
    # By their ids, so that two processes that store the same ones never wait for each other; and each once, because a
    # statement may not meet its own row again.
    each_once = {delivery.event.id: delivery for delivery in deliveries}
    values: list[Any] = []
    for _id, row in sorted(each_once.items()):
        values += _values_of(row)
    with connection.cursor() as cursor:
        cursor.execute(_STORE.format(rows=", ".join([_ROW] * len(each_once))), values)
        return {stripe_id for stripe_id, is_new in cursor.fetchall() if is_new}


def _values_of(row: Delivery) -> list[Any]:
    state, body, finished_at = StripeEvent.State.WAITING, row.body, None
    if not _concerns_us(row.event):
        state, body, finished_at = StripeEvent.State.IGNORED, b"", row.received_at
    return [*astuple(row.event), row.source, body, state, row.received_at, row.received_at, finished_at]


def store(event: stripe.EventFacts, *, body: bytes, source: str, now: datetime) -> bool:
    """`store_together` for one event; returns whether it was new."""
    return bool(store_together([Delivery(event, body, now, source)]))


def process_waiting(*, now: Callable[[], datetime], at_most: int = 500, pace: Callable[[], None] = lambda: None) -> int:
    """Work off what is due, one event at a time; returns how many ended. Safe to run in several workers at once.

    `pace` is called before each event and may wait.
    """
    ended = 0
    for _turn in range(at_most):
        pace()
        event = _claim(now())
        if event is None:
            break
        ended += _process(event, now())
    return ended


def backfill(*, now: datetime, since: datetime | None = None) -> int:
    """Store the events that never reached us; returns how many there were."""
    events = stripe.events(created_since=since or now - BACKFILL_HORIZON)
    return sum(store(event, body=b"", source="backfill", now=now) for event in events)


@transaction.atomic
def _claim(now: datetime) -> StripeEvent | None:
    """The next event that is due, postponed, so that it is due again by itself if this worker dies with it."""
    due = StripeEvent.objects.filter(state=StripeEvent.State.WAITING, next_attempt_at__lte=now)
    event = due.defer("body").select_for_update(skip_locked=True).order_by("next_attempt_at").first()
    if event:
        event.attempts += 1
        event.next_attempt_at = now + min(FIRST_RETRY * 2 ** (event.attempts - 1), LONGEST_WAIT)
        event.save(update_fields=["attempts", "next_attempt_at"])
    return event


def _process(event: StripeEvent, now: datetime) -> bool:
    answered = _answered_with(event)
    try:
        is_ours = _handle(event, now)
    except Exception as error:
        logger.exception("Event %s (%s) failed, attempt %s", event.stripe_id, event.type, event.attempts)
        _record_failure(event, error, now)
        return False
    _end(event, answered, StripeEvent.State.DONE if is_ours else StripeEvent.State.IGNORED, now)
    return True


@transaction.atomic
def _end(event: StripeEvent, answered: list[str], state: StripeEvent.State, now: datetime) -> None:
    keys = [event.pk]
    if set(answered) - set(keys):
        still_open = Q(pk=event.pk) | Q(pk__in=answered, state=StripeEvent.State.WAITING)
        # In the order in which they are stored, so that nobody waits for each other.
        rows = StripeEvent.objects.select_for_update().filter(still_open).order_by("pk")
        keys = list(rows.values_list("pk", flat=True))
    StripeEvent.objects.filter(pk__in=keys).update(state=state, finished_at=now, error="", body=b"")


def _answered_with(event: StripeEvent) -> list[str]:
    """The ids of the events that one fetch answers together with this one: all that have come about its object before
    the fetch begins."""
    if not event.object_id:
        return []
    waiting = StripeEvent.objects.filter(state=StripeEvent.State.WAITING, object_id=event.object_id)
    refresher = _refresher_of(event.type)
    return [key for key, kind in waiting.values_list("pk", "type") if _refresher_of(kind) is refresher]


def _record_failure(event: StripeEvent, error: Exception, now: datetime) -> None:
    # Unless another worker's fetch has answered it meanwhile.
    waiting = StripeEvent.objects.filter(pk=event.pk, state=StripeEvent.State.WAITING)
    outcome: dict[str, Any] = {"error": f"{type(error).__name__}: {error}"[:2000]}
    if event.attempts >= StripeEvent.MAX_ATTEMPTS:
        outcome |= {"state": StripeEvent.State.DEAD, "finished_at": now}
    waiting.update(**outcome)


def _handle(event: StripeEvent, now: datetime) -> bool:
    """Fetch what the event points at; returns whether it concerned us."""
    refresh = _refresher_of(event.type)
    if refresh is None or not event.object_id:
        return False
    try:
        return refresh(event.object_id, cause=f"{_kind(event.type)} {event.stripe_id}", now=now)
    except stripe.StripeRefused as refused:
        if not refused.is_missing or _may_yet_be_found(event, now):
            raise
        return False


def _may_yet_be_found(event: StripeEvent, now: datetime) -> bool:
    """Whether Stripe may just not know yet what it has made. Later, it was deleted or is of another account: asking
    again will not bring it."""
    return not event.type.endswith(".deleted") and now - event.occurred_at < UNTIL_FOUND


def _refresh_subscription(object_id: str, *, cause: str, now: datetime) -> bool:
    return mirror.refresh_subscription(object_id, cause=cause, now=now) is not None


def _refresh_invoice(object_id: str, *, cause: str, now: datetime) -> bool:
    """The invoice, and the subscription that it keeps alive."""
    invoice = mirror.refresh_invoice(object_id, cause=cause, now=now)
    if invoice and invoice.subscription_id:
        mirror.refresh_subscription(invoice.subscription_id, cause=cause, now=now)
    return invoice is not None


def _refresh_checkout(object_id: str, *, cause: str, now: datetime) -> bool:
    session = stripe.retrieve_checkout(object_id)
    return bool(session.subscription_id) and checkout.bought(session, cause=cause, now=now) is not None


def _refresh_customer(object_id: str, *, cause: str, now: datetime) -> bool:
    return mirror.refresh_customer(object_id, cause=cause, now=now) is not None


def _refresh_schedule(object_id: str, *, cause: str, now: datetime) -> bool:
    subscription_id = stripe.subscription_of_schedule(object_id)
    if not subscription_id:
        known = Subscription.objects.filter(schedule_id=object_id).first()
        subscription_id = known.stripe_id if known else ""
    return bool(subscription_id) and _refresh_subscription(subscription_id, cause=cause, now=now)


def _refresh_charge(object_id: str, *, cause: str, now: datetime) -> bool:
    return mirror.refresh_payment(object_id, cause=cause, now=now) is not None


def _refresh_dispute(object_id: str, *, cause: str, now: datetime) -> bool:
    return _refresh_charge(stripe.charge_of_dispute(object_id), cause=cause, now=now)


def _refresh_refund(object_id: str, *, cause: str, now: datetime) -> bool:
    charge_id = stripe.charge_of_refund(object_id)
    return bool(charge_id) and _refresh_charge(charge_id, cause=cause, now=now)


# By the beginning of the event's type; the first that fits counts.
REFRESHERS: dict[str, Callable[..., bool]] = {
    "customer.subscription.": _refresh_subscription,
    "subscription_schedule.": _refresh_schedule,
    "checkout.session.": _refresh_checkout,
    "invoice.": _refresh_invoice,
    "charge.dispute.": _refresh_dispute,
    "charge.refund.": _refresh_refund,
    "charge.refunded": _refresh_charge,
    "refund.": _refresh_refund,
    "customer.updated": _refresh_customer,
    "customer.deleted": _refresh_customer,
    "customer.created": _refresh_customer,
}


def _concerns_us(event: stripe.EventFacts) -> bool:
    return bool(event.object_id) and _refresher_of(event.type) is not None


def _kind(event_type: str) -> str:
    """The type as snapshot events have it: thin ones say their version before it."""
    return event_type.removeprefix("v1.")


def _refresher_of(event_type: str) -> Callable[..., bool] | None:
    kind = _kind(event_type)
    return next((refresh for prefix, refresh in REFRESHERS.items() if kind.startswith(prefix)), None)


def _parsed(body: bytes) -> stripe.EventFacts:
    """Id, type and object of a snapshot event or a thin one. Raises `BadEvent`."""
    try:
        values = json.loads(body)
        subject = values.get("related_object") or values.get("data", {}).get("object", {})
        event = stripe.EventFacts(
            id=_text(values["id"], 80),
            type=_text(values["type"], 120),
            object_type=_text(subject.get("type", "") or subject.get("object", ""), 60),
            object_id=_text(subject.get("id") or "", 80),
            api_version=_text(values.get("api_version") or "", 40),
            occurred_at=_occurred_at(values["created"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, RecursionError) as error:
        raise BadEvent(str(error)) from error
    if not event.id or not event.type:
        raise BadEvent("An event has an id and a type.")
    return event


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or "\0" in value or not value.isprintable():
        raise BadEvent("Not a name.")
    return value


def _occurred_at(value: Any) -> datetime:
    """Seconds since 1970 in a snapshot event, ISO 8601 in a thin one."""
    if isinstance(value, int):
        return datetime.fromtimestamp(value, tz=UTC)
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise BadEvent("A time without a zone.")
    # Before the year 1 or after 9999 in UTC, no time that the database gives back could be read.
    return moment.astimezone(UTC)
