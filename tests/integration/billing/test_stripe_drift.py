"""What was lost or changed unheard at Stripe is found: lost events, reconciliation, and the reports of both.

Over HTTP with the simulated Stripe; with `STRIPE_SANDBOX_KEY` what needs nothing of that one is done at a real sandbox.
"""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from billing import commands, reconciliation, stripe, subscriptions, tasks, webhooks
from billing.models import Customer, EntitlementChange, Invoice, StripeCommand, StripeEvent, Subscription
from billing.stripe import client as sdk
from tests.stack.customers import buy, cancel, newcomer, open_checkout, pay, plan_of, price
from tests.stack.stripe_sandbox import only_simulated

# No webhook is sent: every test hears by asking.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("at_stripe")]


@pytest.fixture
def ann():
    return newcomer("ann")


@only_simulated
def test_lost_events_are_found_and_worked_off(ann):
    answer = pay(open_checkout(ann))
    assert answer.status_code in (302, 303)
    assert plan_of(ann) == "free"
    assert webhooks.backfill(now=timezone.now()) > 0
    webhooks.process_waiting(now=timezone.now)
    assert plan_of(ann) == "plus"
    assert webhooks.backfill(now=timezone.now()) == 0
    assert not StripeEvent.objects.filter(state="waiting").exists()


DRIFTS = {
    "status": {"status": "canceled"},
    "plan": {"plan_id": "pro"},
    "period": {"period_end": timezone.now() + timedelta(days=400)},
    "quantity": {"quantity": 9},
    "cancellation": {"cancels_at": timezone.now()},
    "price": {"price_id": "price_wrong"},
    "trial": {"trial_end": timezone.now()},
}


@pytest.mark.parametrize("kind", [*DRIFTS, "missing", "unknown", "log"])
def test_reconciliation_repairs_every_kind_of_drift_and_finds_nothing_the_second_time(ann, kind):
    subscription = buy(ann)
    if kind == "missing":
        Invoice.objects.all().delete()
        Subscription.objects.filter(pk=subscription.pk).delete()
    elif kind == "unknown":
        stranger = Customer.objects.get(user=ann)
        Subscription.objects.create(
            stripe_id="sub_gone", customer=stranger, status="active", plan_id="pro", started_at=timezone.now()
        )
    elif kind == "log":
        EntitlementChange.objects.filter(user=ann).delete()
    else:
        Subscription.objects.filter(pk=subscription.pk).update(**DRIFTS[kind])
    assert reconciliation.reconcile(now=timezone.now())
    assert reconciliation.reconcile(now=timezone.now()) == []
    assert plan_of(ann) == "plus"
    assert EntitlementChange.objects.filter(user=ann).latest("id").to_plan == "plus"


def test_a_downgrade_that_was_exchanged_unheard_is_found(ann):
    subscription, now = buy(ann, price=price("pro")), timezone.now()
    wish = {"price": price(), "quantity": 1, "wish_id": uuid.uuid4(), "at": now, "now": now}
    subscriptions.change(subscription=subscription, **wish)
    Subscription.objects.filter(pk=subscription.pk).update(next_price_id="price_before")
    found = reconciliation.reconcile(now=timezone.now())
    assert reconciliation.Drift(subscription.pk, "next_price_id") in found
    subscription.refresh_from_db()
    assert subscription.next_price_id == price().stripe_price_id
    assert reconciliation.reconcile(now=timezone.now()) == []


def test_what_would_have_followed_on_a_plan_that_has_ended_is_no_difference(ann):
    subscription, now = buy(ann, price=price("pro")), timezone.now()
    wish = {"price": price(), "quantity": 1, "wish_id": uuid.uuid4(), "at": now, "now": now}
    subscriptions.change(subscription=subscription, **wish)
    subscription.refresh_from_db()
    subscriptions.end_now(subscription=subscription, why="test", now=now)
    reconciliation.reconcile(now=now)
    Subscription.objects.filter(pk=subscription.pk).update(next_price_id="price_left_over")
    assert reconciliation.reconcile(now=now) == []


@only_simulated
def test_who_cancels_a_downgrade_that_was_let_go_unheard_has_cancelled(ann):
    subscription, now = buy(ann, price=price("pro")), timezone.now()
    wish = {"price": price(), "quantity": 1, "wish_id": uuid.uuid4(), "at": now, "now": now}
    subscriptions.change(subscription=subscription, **wish)
    subscription.refresh_from_db()
    with pytest.raises(sdk.stripe.InvalidRequestError, match="managed by the subscription schedule"):
        sdk.api().subscriptions.update(subscription.pk, {"cancel_at_period_end": True})
    sdk.api().subscription_schedules.release(subscription.schedule_id)
    cancel(subscription, now)
    assert stripe.retrieve_subscription(subscription.pk).cancels_at is not None


@only_simulated
def test_who_was_deleted_in_stripes_dashboard_unheard_can_buy_again(ann):
    for _time in range(3):
        customer_id = buy(ann).customer.stripe_id
        sdk.api().customers.delete(customer_id)
        assert reconciliation.Drift(customer_id, "deleted") in reconciliation.reconcile(now=timezone.now())
        assert plan_of(ann) == "free"
        assert reconciliation.reconcile(now=timezone.now()) == []
    assert buy(ann).status == "active"


@only_simulated
def test_a_key_that_is_being_exchanged_refuses_nothing_for_ever(ann, settings, caplog):
    customer_id = buy(ann).customer.stripe_id
    commands.delete_customer(customer_id, now=timezone.now())
    key, settings.STRIPE_API_KEY = settings.STRIPE_API_KEY, "sk_live_exchanged"
    assert commands.run_waiting(now=timezone.now()) == 0
    settings.STRIPE_API_KEY = key
    assert commands.run_waiting(now=timezone.now() + timedelta(hours=1)) == 1
    assert sdk.api().customers.retrieve(customer_id).deleted


@only_simulated
def test_a_deletion_that_was_refused_is_asked_for_again_at_night(ann):
    commands.delete_customer(buy(ann).customer.stripe_id, now=timezone.now())
    StripeCommand.objects.filter(kind=commands.DELETION).update(state="refused", finished_at=timezone.now())
    assert commands.retry_deletions(now=timezone.now()) == 1
    assert commands.run_waiting(now=timezone.now()) == 1


def test_what_reconciliation_repairs_stands_in_the_log(ann, caplog):
    buy(ann)
    assert tasks.reconcile() == 0
    Subscription.objects.update(quantity=7)
    assert tasks.reconcile() == 1
    assert "Reconciliation repaired what differed from Stripe: {'quantity': 1}" in caplog.text


def test_a_key_of_another_account_ends_nobodys_plan(ann, caplog):
    buy(ann)
    stranger = Customer.objects.get(user=ann)
    names = [f"sub_elsewhere_{number}" for number in range(reconciliation.MOST_UNKNOWN + 1)]
    Subscription.objects.bulk_create(
        Subscription(stripe_id=name, customer=stranger, status="active", plan_id="pro", started_at=timezone.now())
        for name in names
    )
    reconciliation.reconcile(now=timezone.now())
    assert set(Subscription.objects.filter(pk__in=names).values_list("status", flat=True)) == {"active"}
    assert "STRIPE_API_KEY" in caplog.text
