"""Which plan a person has, told by local rows and the clock alone."""

import dataclasses
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from billing import mirror
from billing.entitlements import GRACE, RENEWAL_SLACK, entitlement_of, record_changes_by_time
from billing.models import Customer, EntitlementChange, Invoice, Subscription
from tests.integration.billing.conftest import facts_of

pytestmark = pytest.mark.django_db


def plan_of(user, now):
    return entitlement_of(user, now=now).plan_key


def test_everybody_starts_free(ann, now):
    assert plan_of(ann, now) == "free"


@pytest.mark.parametrize(
    ("status", "plan"),
    [
        ("active", "plus"),
        ("trialing", "plus"),
        ("incomplete", "free"),
        ("incomplete_expired", "free"),
        ("unpaid", "free"),
        ("paused", "free"),
        ("canceled", "free"),
    ],
)
def test_only_what_is_paid_or_tried_gives_a_plan(ann, now, subscribe, status, plan):
    subscribe(ann, "plus", status=status)
    assert plan_of(ann, now) == plan


def test_a_failed_payment_leaves_a_grace_of_a_week_then_free(ann, now, subscribe):
    subscribe(ann, "plus", status="past_due")
    failed = Subscription.objects.get().past_due_since
    entitlement = entitlement_of(ann, now=failed + GRACE - timedelta(seconds=1))
    assert (entitlement.plan_key, entitlement.reason, entitlement.grace_until) == ("plus", "grace", failed + GRACE)
    assert plan_of(ann, failed + GRACE) == "free"


def test_what_is_billed_in_a_paid_period_and_not_paid_has_a_grace_of_its_own(ann, now, subscribe):
    eight_months_ago = now - timedelta(days=240)
    paid = {"period_start": eight_months_ago, "period_end": eight_months_ago + timedelta(days=365)}
    subscription = subscribe(ann, "team", started_at=eight_months_ago, interval="year", **paid)
    Invoice.objects.create(
        stripe_id="in_seat", customer=subscription.customer, subscription_id=subscription.pk, status="open",
        billing_reason="subscription_update", currency="usd", total=2000, amount_due=2000, amount_paid=0,
        created_at=now,
    )  # fmt: skip
    subscribe(ann, "team", started_at=eight_months_ago, interval="year", status="past_due", **paid)
    entitlement = entitlement_of(ann, now=now + timedelta(days=6))
    assert (entitlement.plan_key, entitlement.reason) == ("team", "grace")
    assert plan_of(ann, now + GRACE + timedelta(hours=2)) == "free"


def test_a_renewal_never_interrupts_paid_access(ann, now, subscribe):
    end = subscribe(ann, "plus").period_end
    for moment in (end - timedelta(seconds=1), end, end + timedelta(hours=2)):
        assert plan_of(ann, moment) == "plus"
    assert plan_of(ann, end + RENEWAL_SLACK) == "free"


def test_a_cancelled_plan_ends_exactly_when_it_said(ann, now, subscribe):
    end = now + timedelta(days=30)
    subscribe(ann, "plus", cancels_at=end)
    assert plan_of(ann, end - timedelta(microseconds=1)) == "plus"
    assert plan_of(ann, end) == "free"


def test_the_best_of_two_plans_counts(ann, now, subscribe):
    subscribe(ann, "plus")
    subscribe(ann, "pro", id="sub_second")
    assert plan_of(ann, now) == "pro"


def test_money_that_went_back_takes_its_plan_along(ann, now, subscribe):
    from billing.models import Invoice

    subscription = subscribe(ann, "plus", latest_invoice_id="in_1")
    invoice = Invoice.objects.create(
        stripe_id="in_1", customer=subscription.customer, status="paid", currency="usd", total=2000, amount_due=2000,
        amount_paid=2000, created_at=now,
    )  # fmt: skip
    for changes, plan in [
        ({"amount_refunded": 500}, "plus"),
        ({"amount_refunded": 2000}, "free"),
        ({"amount_refunded": 0, "is_disputed": True}, "free"),
        ({"is_disputed": False}, "plus"),
    ]:
        Invoice.objects.filter(pk=invoice.pk).update(**changes)
        assert plan_of(ann, now) == plan


def test_a_slow_older_fetch_never_overwrites_a_later_one(ann, now, subscribe):
    customer = Customer.objects.create(user=ann, stripe_id="cus_race")
    active = facts_of(customer, "plus", now)
    slow = mirror.begin_fetch(cause="slow", now=now)
    quick = mirror.begin_fetch(cause="quick", now=now)
    mirror.save_subscription(dataclasses.replace(active, status="canceled"), quick)
    mirror.save_subscription(active, slow)
    assert plan_of(ann, now) == "free"
    assert Subscription.objects.get().status == "canceled"


def test_every_change_is_logged_with_its_cause_and_the_log_cannot_be_rewritten(ann, now, subscribe):
    subscribe(ann, "plus")
    subscribe(ann, "plus")
    subscribe(ann, "plus", status="canceled")
    log = list(EntitlementChange.objects.order_by("id").values_list("from_plan", "to_plan", "cause"))
    assert log == [("free", "plus", "test"), ("plus", "free", "test")]
    with pytest.raises(DatabaseError), transaction.atomic():
        EntitlementChange.objects.update(to_plan="pro")


def test_a_plan_that_the_clock_ended_is_logged_too(ann, now, subscribe):
    subscribe(ann, "plus", status="past_due")
    later = now + timedelta(days=9)
    assert record_changes_by_time(now=later) == 1
    assert record_changes_by_time(now=later) == 0
    assert EntitlementChange.objects.latest("id").cause == "time"
