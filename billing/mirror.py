"""Bring our copy of one of Stripe's objects up to date: the same few functions for webhooks, returns from Checkout,
back-fill and reconciliation.

The fence: take a number, fetch (no transaction is open), save only if no later number was saved. A fetch that was slow
can then never overwrite what a later one has seen, in whatever order they end, and no lock is held while we wait for
Stripe.

What fetches raises `stripe.StripeUnavailable`, and `stripe.StripeRefused` where Stripe has nothing of that id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Max, Min, Model, Q, QuerySet

from accounts.models import User
from billing import entitlements, notices, stripe, trials
from billing.models import Customer, Invoice, Plan, Subscription

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A payment that failed is first tried about an hour after the period began.
FIRST_ATTEMPT_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Fetch:
    """When a fetch began, as a number that only grows, and why it was made."""

    fence: int
    cause: str
    now: datetime


def begin_fetch(*, cause: str, now: datetime) -> Fetch:
    """Draw the number; call it before asking Stripe."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('billing_fetch_fence')")
        (fence,) = cursor.fetchone()
    return Fetch(fence, cause, now)


def refresh_customer(customer_id: str, *, cause: str, now: datetime) -> Customer | None:
    """Fetch and save a customer of ours; None when it is nobody's here."""
    fetch = begin_fetch(cause=cause, now=now)
    return save_customer(stripe.retrieve_customer(customer_id), fetch)


def refresh_subscription(subscription_id: str, *, cause: str, now: datetime) -> Subscription | None:
    """Fetch and save a subscription and its newest invoice; None when it is not of a customer of ours."""
    fetch = begin_fetch(cause=cause, now=now)
    facts = stripe.retrieve_subscription(subscription_id)
    if facts.latest_invoice_id and not Invoice.objects.filter(pk=facts.latest_invoice_id).exists():
        _unless_missing(refresh_invoice, facts.latest_invoice_id, cause=cause, now=now)
    next_price = stripe.next_price_of_schedule(facts.schedule_id, now=now) if facts.schedule_id else ""
    return save_subscription(facts, fetch, next_price_id=next_price, trial_card=_card_of_new_trial(facts))


def _card_of_new_trial(facts: stripe.SubscriptionFacts) -> str | None:
    """The fingerprint of the card that a trial was begun with, until it is known whether it is the card's first.

    Empty where the trial is given whatever the card: it has no fingerprint, or staff gave free time at Stripe. None
    where Stripe does not say it now: a trial goes on meanwhile, and is looked at again.
    """
    decided = Subscription.objects.filter(pk=facts.id).exclude(trial_standing="")
    if facts.status != Subscription.Status.TRIALING or decided.exists():
        return None
    if not facts.began_with_trial:
        return ""
    try:
        return stripe.fingerprint_of(facts)
    except (stripe.StripeUnavailable, stripe.StripeRefused) as error:
        logger.warning(
            "The card of the trial %s is not known yet. May the key read payment methods? %s", facts.id, error
        )
        return None


def decide_trials(*, now: datetime) -> None:
    """Look again at trials whose card was not known, and at refused ones that were to end and have not."""
    for row in Subscription.objects.filter(status=Subscription.Status.TRIALING).exclude(trial_standing="given"):
        try:
            _unless_missing(refresh_subscription, row.pk, cause="its trial was not decided", now=now)
        except stripe.StripeRefused:
            logger.exception("Stripe says nothing of the trial %s", row.pk)  # of the others it may


def refresh_invoice(invoice_id: str, *, cause: str, now: datetime) -> Invoice | None:
    """Fetch and save an invoice; None when it is not of a customer of ours."""
    fetch = begin_fetch(cause=cause, now=now)
    return save_invoice(stripe.retrieve_invoice(invoice_id), fetch)


def refresh_payment(charge_id: str, *, cause: str, now: datetime) -> Invoice | None:
    """Learn whether the money of an invoice went back (refund) or is contested (dispute)."""
    return refresh_money(stripe.retrieve_charge(charge_id).payment_intent_id, cause=cause, now=now)


def refresh_money(payment_intent_id: str, *, cause: str, now: datetime) -> Invoice | None:
    """`refresh_payment` for all charges of a payment; None when it paid no invoice of ours."""
    invoice_id = stripe.invoice_of_payment(payment_intent_id)
    if not invoice_id or _unless_missing(refresh_invoice, invoice_id, cause=cause, now=now) is None:
        return None
    fetch = begin_fetch(cause=cause, now=now)
    charges = stripe.charges_of_payment(payment_intent_id)
    refunds = stripe.refunds_of_payment(payment_intent_id)
    on_its_way = sum(refund.amount for refund in refunds if not refund.is_failed)
    # A charge stays marked however its dispute ended.
    is_disputed = any(charge.was_disputed for charge in charges) and stripe.is_contested(payment_intent_id)
    with transaction.atomic():
        invoice = Invoice.objects.select_related("customer").get(pk=invoice_id)
        customer = _lock(invoice.customer)
        invoice.refresh_from_db()
        if fetch.fence < invoice.money_fence:
            return invoice
        invoice.money_fence = fetch.fence
        invoice.amount_refunded = min(sum(charge.amount_refunded for charge in charges), on_its_way)
        invoice.is_disputed = is_disputed
        failure = refunds[0].failure_reason if refunds and refunds[0].is_failed else ""
        if failure and failure != invoice.refund_failure:
            logger.error("The refund of invoice %s never arrived (%s): refund it again.", invoice, failure)
        invoice.refund_failure = failure
        invoice.save()
        _entitlements_changed(customer, fetch)
    return invoice


def customer_of(customer_id: str, *, cause: str, now: datetime) -> Customer | None:
    """The customer's row, fetched when this is the first we hear of it."""
    known = Customer.objects.filter(stripe_id=customer_id).first()
    return known or _unless_missing(refresh_customer, customer_id, cause=cause, now=now)


def _unless_missing(refresh: Callable[..., T | None], object_id: str, *, cause: str, now: datetime) -> T | None:
    """None also for what Stripe does not have: a deleted draft, or of another account."""
    try:
        return refresh(object_id, cause=cause, now=now)
    except stripe.StripeRefused as refused:
        if not refused.is_missing:
            raise
        return None


@transaction.atomic
def save_customer(facts: stripe.CustomerFacts, fetch: Fetch) -> Customer | None:
    customer = Customer.objects.select_for_update().filter(stripe_id=facts.id).first()
    if customer is None:
        user = _user_of(facts)
        if user is None or Customer.objects.filter(user=user, is_deleted=False).exists():
            return None
        earlier = Customer.objects.filter(user=user, is_deleted=True)
        trial_used_at = earlier.aggregate(first=Min("trial_used_at"))["first"]
        earlier.update(user=None)
        customer = Customer(stripe_id=facts.id, user=user, trial_used_at=trial_used_at)
    if fetch.fence < customer.fence:
        return customer
    customer.fence = fetch.fence
    customer.fetched_at = fetch.now
    customer.is_deleted = customer.is_deleted or facts.is_deleted
    customer.currency = facts.currency or customer.currency
    customer.locale = facts.locale
    customer.save()
    _entitlements_changed(customer, fetch)
    return customer


def save_subscription(
    facts: stripe.SubscriptionFacts, fetch: Fetch, *, next_price_id: str = "", trial_card: str | None = None
) -> Subscription | None:
    """Save what was fetched unless a later fetch was saved; the entitlement log is written with it.

    A trial that was begun with the card of an earlier one gives nothing, and Stripe is asked to end it.
    """
    known = customer_of(facts.customer_id, cause=fetch.cause, now=fetch.now)
    if known is None:
        return None
    with transaction.atomic():
        customer = _lock(known)
        subscription = Subscription.objects.filter(pk=facts.id).first() or Subscription(stripe_id=facts.id)
        if fetch.fence < subscription.fence:
            return subscription
        before = _says(subscription)
        _copy(facts, subscription)
        subscription.past_due_since = _past_due_since(subscription)
        subscription.customer = customer
        subscription.plan = Plan.objects.filter(stripe_product_id=facts.product_id).first()
        subscription.next_price_id = next_price_id
        subscription.fence = fetch.fence
        subscription.fetched_at = fetch.now
        if trial_card is not None and not subscription.trial_standing:
            is_first = not trial_card or trials.begin_with_card(trial_card, now=fetch.now)
            standing = Subscription.TrialStanding
            subscription.trial_standing = standing.GIVEN if is_first else standing.REFUSED
        subscription.save()
        if subscription.is_trial_refused:
            trials.end_refused(subscription, now=fetch.now)
        if facts.trial_end and not customer.trial_used_at:
            customer.trial_used_at = facts.started_at
            customer.save(update_fields=["trial_used_at"])
            if customer.user:
                trials.remember(customer.user, now=fetch.now)
        if _says(subscription) != before:
            _entitlements_changed(customer, fetch)
    return subscription


@transaction.atomic
def end_missing(known: Subscription, fetch: Fetch) -> bool:
    """A subscription that Stripe does not have gives nothing; False when a later fetch has found it."""
    customer = _lock(known.customer)
    subscription = Subscription.objects.get(pk=known.pk)
    if fetch.fence < subscription.fence:
        return False
    subscription.status = Subscription.Status.CANCELED
    subscription.past_due_since = None
    subscription.ended_at = fetch.now
    subscription.fence = fetch.fence
    subscription.save()
    _entitlements_changed(customer, fetch)
    return True


def save_invoice(facts: stripe.InvoiceFacts, fetch: Fetch) -> Invoice | None:
    """Save what was fetched unless a later fetch was saved; the payer is told of a payment that failed, once."""
    known = customer_of(facts.customer_id, cause=fetch.cause, now=fetch.now)
    if known is None:
        return None
    with transaction.atomic():
        customer = _lock(known)
        invoice = Invoice.objects.filter(pk=facts.id).first() or Invoice(stripe_id=facts.id)
        if fetch.fence < invoice.fence:
            return invoice
        before = _says(invoice)
        for name in INVOICE_FIELDS:
            setattr(invoice, name, getattr(facts, name))
        invoice.customer = customer
        invoice.fence = fetch.fence
        invoice.fetched_at = fetch.now
        invoice.save()
        if _says(invoice) != before:
            _grace_of(invoice)
            notices.of_invoice(invoice, now=fetch.now)
            _entitlements_changed(customer, fetch)
    return invoice


INVOICE_FIELDS = (
    "subscription_id",
    "number",
    "status",
    "billing_reason",
    "currency",
    "total",
    "amount_due",
    "amount_paid",
    "attempt_count",
    "next_attempt_at",
    "created_at",
    "period_end",
)
SUBSCRIPTION_FIELDS = (
    "status",
    "item_id",
    "price_id",
    "interval",
    "currency",
    "unit_amount",
    "quantity",
    "started_at",
    "period_start",
    "period_end",
    "trial_end",
    "cancels_at",
    "ended_at",
    "schedule_id",
    "latest_invoice_id",
)


def _says(row: Model) -> dict[str, object]:
    """What the row tells of its object; nothing while it is not saved. What is said again changes nobody's plan."""
    of_fetch = ("fence", "fetched_at")
    fields = () if row._state.adding else row._meta.concrete_fields
    return {field.attname: getattr(row, field.attname) for field in fields if field.attname not in of_fetch}


def _copy(facts: stripe.SubscriptionFacts, subscription: Subscription) -> None:
    for name in SUBSCRIPTION_FIELDS:
        setattr(subscription, name, getattr(facts, name))


def _past_due_since(subscription: Subscription) -> datetime | None:
    """When the oldest renewal failed that is unpaid since: told by the objects alone, so that hearing of it late or
    twice gives the same grace, and another unpaid month none anew."""
    if subscription.status != Subscription.Status.PAST_DUE:
        return None
    renewals = Invoice.objects.filter(subscription_id=subscription.pk, billing_reason="subscription_cycle")
    paid = renewals.filter(status=Invoice.Status.PAID).aggregate(at=Max("created_at"))["at"]
    unpaid = _oldest(renewals.filter(status=Invoice.Status.OPEN, created_at__gt=paid or subscription.started_at))
    began = subscription.period_start or subscription.started_at
    if unpaid is None:  # the renewal is not heard of yet, or what is owed was billed in the middle of a paid period
        owed = Invoice.objects.filter(subscription_id=subscription.pk, status=Invoice.Status.OPEN)
        return (_oldest(owed) or began) + FIRST_ATTEMPT_AFTER
    return min(unpaid, began) + FIRST_ATTEMPT_AFTER


def _oldest(invoices: QuerySet[Invoice]) -> datetime | None:
    found: datetime | None = invoices.aggregate(at=Min("created_at"))["at"]
    return found


def _grace_of(invoice: Invoice) -> None:
    """A bill that is paid, or is not, may move the beginning of its subscription's grace."""
    owing = Subscription.objects.filter(pk=invoice.subscription_id, status=Subscription.Status.PAST_DUE).first()
    if owing:
        owing.past_due_since = _past_due_since(owing)
        owing.save(update_fields=["past_due_since"])


def _user_of(facts: stripe.CustomerFacts) -> User | None:
    try:
        return User.objects.filter(pk=facts.user_id).first() if facts.user_id else None
    except (ValueError, TypeError):  # not one of our ids: somebody else's customer on a shared Stripe account
        return None


def _lock(customer: Customer) -> Customer:
    """All writers of one customer's rows take turns here, the log of entitlements included."""
    return Customer.objects.select_for_update().get(pk=customer.pk)


def _entitlements_changed(customer: Customer, fetch: Fetch) -> None:
    for user in people_of(customer).order_by("pk"):
        entitlements.record_change(user, cause=fetch.cause, now=fetch.now)


def people_of(customer: Customer) -> QuerySet[User]:
    """Whoever's plan the customer pays: themself and the members of their team."""
    if customer.user_id is None:
        return User.objects.none()
    mine = Q(pk=customer.user_id) | Q(team_membership__team__owner_id=customer.user_id)
    return User.objects.filter(mine).distinct()
