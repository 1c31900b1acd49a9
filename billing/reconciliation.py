"""Compare our copies with Stripe, repair what differs through the same writers as everything else, and say what it was.

Needed even if every event arrives: Stripe itself can fail to make one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from billing import entitlements, mirror, stripe
from billing.models import Invoice, Plan, Subscription

INVOICE_HORIZON = timedelta(days=35)
CAUSE = "reconciliation"
MONEY_FIELDS = ("amount_refunded", "is_disputed")


@dataclass(frozen=True, slots=True)
class Drift:
    """One object that was not as at Stripe. `kind` names the field, `missing` or `unknown at Stripe`."""

    object_id: str
    kind: str


def reconcile(*, now: datetime) -> list[Drift]:
    """Repair everything that differs; returns what did. A second run finds nothing.

    About one request for every hundred subscriptions and invoices, one more for each that differs, and a few for each
    payment of which money went back lately.
    """
    return [*_subscriptions(now), *_invoices(now), *_money(now), *_entitlements(now)]


def by_kind(drifts: list[Drift]) -> dict[str, int]:
    return dict(Counter(drift.kind for drift in drifts))


def _subscriptions(now: datetime) -> list[Drift]:
    fetch = mirror.begin_fetch(cause=CAUSE, now=now)
    known = {row.stripe_id: row for row in Subscription.objects.select_related("plan", "customer")}
    plans = dict(Plan.objects.exclude(stripe_product_id="").values_list("stripe_product_id", "key"))
    drifts: list[Drift] = []
    seen: set[str] = set()
    for facts in stripe.subscriptions():
        seen.add(facts.id)
        kinds = _differences(facts, known.get(facts.id), plans)
        # Only what no later fetch has saved is ours to judge: a webhook may have been quicker than this list.
        if kinds and _repair(facts, fetch):
            drifts += [Drift(facts.id, kind) for kind in kinds]
    for row in known.values():
        if row.stripe_id not in seen and row.status in Subscription.OPEN:
            drifts += _end_unknown(row, now)
    return drifts


def _differences(facts: stripe.SubscriptionFacts, row: Subscription | None, plans: dict[str, str]) -> list[str]:
    if row is None:
        return ["missing"]
    kinds = [name for name in mirror.SUBSCRIPTION_FIELDS if getattr(row, name) != getattr(facts, name)]
    if row.customer.stripe_id != facts.customer_id:
        kinds.append("customer")
    if (row.plan_id or "") != plans.get(facts.product_id, ""):
        kinds.append("plan")
    return kinds


def _repair(facts: stripe.SubscriptionFacts, fetch: mirror.Fetch) -> bool:
    """Save what the list said; False when it is not ours or somebody saw something newer meanwhile."""
    next_price = stripe.next_price_of_schedule(facts.schedule_id, now=fetch.now) if facts.schedule_id else ""
    saved = mirror.save_subscription(facts, fetch, next_price_id=next_price)
    return saved is not None and saved.fence == fetch.fence


@transaction.atomic
def _end_unknown(row: Subscription, now: datetime) -> list[Drift]:
    """A subscription that Stripe does not have gives nothing."""
    row.status = Subscription.Status.CANCELED
    row.past_due_since = None
    row.ended_at = now
    row.save()
    for user in mirror.people_of(row.customer):
        entitlements.record_change(user, cause=CAUSE, now=now)
    return [Drift(row.stripe_id, "unknown at Stripe")]


def _invoices(now: datetime) -> list[Drift]:
    fetch = mirror.begin_fetch(cause=CAUSE, now=now)
    since = now - INVOICE_HORIZON
    known = {row.stripe_id: row for row in Invoice.objects.filter(created_at__gte=since)}
    drifts: list[Drift] = []
    for facts in stripe.invoices(created_since=since):
        row = known.get(facts.id)
        kinds = (
            ["invoice missing"]
            if row is None
            else [f"invoice {name}" for name in mirror.INVOICE_FIELDS if getattr(row, name) != getattr(facts, name)]
        )
        if kinds:
            saved = mirror.save_invoice(facts, fetch)
            if saved is not None and saved.fence == fetch.fence:
                drifts += [Drift(facts.id, kind) for kind in kinds]
    return drifts


def _money(now: datetime) -> list[Drift]:
    """Refunds and disputes of which we have not heard, and disputes that ended unheard."""
    known = {row.pk: row for row in Invoice.objects.filter(Q(amount_refunded__gt=0) | Q(is_disputed=True))}
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
