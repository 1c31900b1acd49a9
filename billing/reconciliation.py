"""Compare our copies with Stripe, repair what differs through the same writers as everything else, and say what it was.

Needed even if every event arrives: Stripe itself can fail to make one.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from billing import doubles, entitlements, mirror, stripe
from billing.models import Customer, Invoice, Plan, Subscription

logger = logging.getLogger(__name__)

INVOICE_HORIZON = timedelta(days=35)
CAUSE = "reconciliation"
# More than these, and than a tenth of all, that Stripe does not have at once: that is a key of another account.
MOST_UNKNOWN = 5
MONEY_FIELDS = ("amount_refunded", "is_disputed", "refund_failure")


@dataclass(frozen=True, slots=True)
class Drift:
    """One object that was not as at Stripe. `kind` names the field, `missing`, `deleted` or `unknown at Stripe`; or it
    is as at Stripe, and `SECOND`: only a person can put that right."""

    object_id: str
    kind: str


SECOND = "second open subscription"


def reconcile(*, now: datetime) -> list[Drift]:
    """Repair everything that differs; returns what did. A second run finds nothing but what a person has to put right.

    About one request for every hundred customers, subscriptions and invoices, one more for each that is scheduled or
    differs, and a few for each payment of which money went back lately.
    """
    repaired = [*_customers(now), *_subscriptions(now), *_invoices(now), *_money(now), *_entitlements(now)]
    return [*repaired, *(Drift(row.pk, SECOND) for row in doubles.too_many())]


def by_kind(drifts: list[Drift]) -> dict[str, int]:
    return dict(Counter(drift.kind for drift in drifts))


def _customers(now: datetime) -> list[Drift]:
    """Those who were deleted unheard, and could not buy any more, or pay in another currency than we know."""
    fetch = mirror.begin_fetch(cause=CAUSE, now=now)
    known = {row.stripe_id: row for row in Customer.objects.filter(is_deleted=False, user__isnull=False)}
    drifts: list[Drift] = []
    seen: set[str] = set()
    for facts in stripe.customers():
        seen.add(facts.id)
        ours = known[facts.id].currency if facts.id in known else ""
        # Not to know it yet is not wrong: Stripe refuses another one by itself.
        if ours and facts.currency not in ("", ours):
            mirror.save_customer(facts, fetch)
            drifts.append(Drift(facts.id, "currency"))
    missing = sorted(known.keys() - seen)
    if not _are_too_many(missing, len(known)):
        drifts += [Drift(customer_id, "deleted") for customer_id in missing if _was_deleted(customer_id, now)]
    return drifts


def _was_deleted(customer_id: str, now: datetime) -> bool:
    try:
        customer = mirror.refresh_customer(customer_id, cause=CAUSE, now=now)
    except stripe.StripeRefused:  # never there: another account's, of which we know nothing
        return False
    return customer is not None and customer.is_deleted


def _are_too_many(unknown: Sequence[str], of: int) -> bool:
    if len(unknown) <= MOST_UNKNOWN or len(unknown) * 10 <= of:
        return False
    logger.error(
        "Stripe has no %s of %s that are known here. Is STRIPE_API_KEY that of another account? They are left alone.",
        len(unknown),
        of,
    )
    return True


def _subscriptions(now: datetime) -> list[Drift]:
    fetch = mirror.begin_fetch(cause=CAUSE, now=now)
    known = {row.stripe_id: row for row in Subscription.objects.select_related("plan", "customer")}
    plans = dict(Plan.objects.exclude(stripe_product_id="").values_list("stripe_product_id", "key"))
    drifts: list[Drift] = []
    seen: set[str] = set()
    for facts in stripe.subscriptions():
        seen.add(facts.id)
        # What would have followed on a subscription that has ended is of no concern.
        is_followed = facts.schedule_id and facts.status in Subscription.OPEN
        next_price = stripe.next_price_of_schedule(facts.schedule_id, now=now) if is_followed else ""
        kinds = _differences(facts, known.get(facts.id), plans, next_price)
        # Only what no later fetch has saved is ours to judge: a webhook may have been quicker than this list.
        if kinds and _is_saved(mirror.save_subscription(facts, fetch, next_price_id=next_price), fetch):
            drifts += [Drift(facts.id, kind) for kind in kinds]
    living = [row for row in known.values() if row.status in Subscription.OPEN]
    unknown = [row for row in living if row.stripe_id not in seen]
    if not _are_too_many([row.stripe_id for row in unknown], len(living)):
        drifts += [Drift(row.stripe_id, "unknown at Stripe") for row in unknown if _was_ended(row, now)]
    return drifts


def _is_saved(row: Subscription | Invoice | None, fetch: mirror.Fetch) -> bool:
    """Whether what the list said is what we have now: it is ours, and nobody saw something newer meanwhile."""
    return row is not None and row.fence == fetch.fence


def _differences(
    facts: stripe.SubscriptionFacts, row: Subscription | None, plans: dict[str, str], next_price: str
) -> list[str]:
    if row is None:
        return ["missing"]
    kinds = [name for name in mirror.SUBSCRIPTION_FIELDS if getattr(row, name) != getattr(facts, name)]
    if row.customer.stripe_id != facts.customer_id:
        kinds.append("customer")
    if (row.plan_id or "") != plans.get(facts.product_id, ""):
        kinds.append("plan")
    if facts.status in Subscription.OPEN and row.next_price_id != next_price:
        kinds.append("next_price_id")
    return kinds


def _was_ended(row: Subscription, now: datetime) -> bool:
    """End what Stripe, asked for it by name, does not have."""
    fetch = mirror.begin_fetch(cause=CAUSE, now=now)
    try:
        stripe.retrieve_subscription(row.stripe_id)
    except stripe.StripeRefused as refused:
        if refused.is_missing:
            return mirror.end_missing(row, fetch)
        logger.exception("Stripe says nothing of the subscription %s", row.pk)  # of all others it may
    return False


def _invoices(now: datetime) -> list[Drift]:
    fetch = mirror.begin_fetch(cause=CAUSE, now=now)
    # Stripe's times are whole seconds.
    since = (now - INVOICE_HORIZON).replace(microsecond=0)
    known = {row.stripe_id: row for row in Invoice.objects.filter(created_at__gte=since)}
    drifts: list[Drift] = []
    for facts in stripe.invoices(created_since=since):
        row = known.get(facts.id)
        kinds = (
            ["invoice missing"]
            if row is None
            else [f"invoice {name}" for name in mirror.INVOICE_FIELDS if getattr(row, name) != getattr(facts, name)]
        )
        if kinds and _is_saved(mirror.save_invoice(facts, fetch), fetch):
            drifts += [Drift(facts.id, kind) for kind in kinds]
    return drifts


def _money(now: datetime) -> list[Drift]:
    """Refunds and disputes of which we have not heard, and disputes that ended unheard."""
    is_touched = Q(amount_refunded__gt=0) | Q(is_disputed=True) | ~Q(refund_failure="")
    known = {row.pk: row for row in Invoice.objects.filter(is_touched)}
    contested = [pk for pk, row in known.items() if row.is_disputed and row.period_end and row.period_end > now]
    payments = stripe.payments_given_back(created_since=now - INVOICE_HORIZON)
    payments |= {stripe.payment_of_invoice(invoice_id) for invoice_id in contested}
    drifts: list[Drift] = []
    for payment in sorted(payments - {""}):
        fresh = mirror.refresh_money(payment, cause=CAUSE, now=now)
        if fresh is None:
            continue
        before = known.get(fresh.pk) or Invoice(amount_refunded=0, is_disputed=False)
        differing = [name for name in MONEY_FIELDS if getattr(fresh, name) != getattr(before, name)]
        drifts += [Drift(fresh.pk, f"invoice {name}") for name in differing]
    return drifts


def _entitlements(now: datetime) -> list[Drift]:
    """The log must say what the rows say."""
    drifts: list[Drift] = []
    for subscription in Subscription.objects.select_related("customer").distinct("customer"):
        for user in mirror.people_of(subscription.customer):
            with transaction.atomic():
                if entitlements.record_change(user, cause=CAUSE, now=now):
                    drifts.append(Drift(str(user.pk), "entitlement"))
    return drifts
