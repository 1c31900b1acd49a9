"""Months of a customer by a test clock, the same at the simulated Stripe and at a real sandbox (docs/billing.md)."""

import uuid
from datetime import timedelta

import pytest

from billing import subscriptions
from billing.entitlements import Reason, entitlement_of
from billing.models import Invoice, Plan
from tests.stack.customers import newcomer, price
from tests.stack.stripe_sandbox import DECLINED_LATER, Clock, sandbox_key, subscribe

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann(at_stripe):
    return newcomer("ann")


@pytest.fixture
def clock(ann):
    clock = Clock(ann)
    yield clock
    clock.delete()


def plan_and_reason(user, clock):
    found = entitlement_of(user, now=clock.now)
    return found.plan_key, found.reason


def test_a_renewal_a_downgrade_and_a_cancellation_come_when_they_said(ann, clock):
    bought = subscribe(ann, price("pro"))
    assert plan_and_reason(ann, clock) == ("pro", Reason.SUBSCRIBED)
    clock.advance(bought.period_end + timedelta(hours=2))
    bought.refresh_from_db()
    assert bought.period_end > clock.now
    assert Invoice.objects.filter(status="paid", total=price("pro").unit_amount).count() == 2
    wish = {"wish_id": uuid.uuid4(), "now": clock.now}
    subscriptions.change(subscription=bought, price=price("plus"), quantity=1, at=clock.now, **wish)
    clock.advance(bought.period_end - timedelta(minutes=10))
    assert plan_and_reason(ann, clock) == ("pro", Reason.SUBSCRIBED)
    clock.advance(bought.period_end + timedelta(hours=2))
    assert plan_and_reason(ann, clock) == ("plus", Reason.SUBSCRIBED)
    bought.refresh_from_db()
    wish = {"wish_id": uuid.uuid4(), "now": clock.now}
    subscriptions.cancel(subscription=bought, reason="unused", comment="", **wish)
    clock.advance(bought.period_end + timedelta(minutes=5))
    bought.refresh_from_db()
    assert (bought.status, plan_and_reason(ann, clock)) == ("canceled", ("free", Reason.FREE))


def test_a_trial_whose_card_fails_at_its_end_is_in_grace_and_then_free(ann, clock):
    Plan.objects.filter(key="plus").update(trial_days=14)
    bought = subscribe(ann, price(), card=DECLINED_LATER)
    assert (bought.status, plan_and_reason(ann, clock)) == ("trialing", ("plus", Reason.TRIAL))
    clock.advance(bought.period_end + timedelta(hours=2))
    assert plan_and_reason(ann, clock) == ("plus", Reason.GRACE)
    clock.advance(entitlement_of(ann, now=clock.now).grace_until + timedelta(minutes=1))
    assert plan_and_reason(ann, clock)[0] == "free"


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1", "pk_test_1", "nonsense"])
def test_a_key_that_could_move_money_is_refused(monkeypatch, key):
    monkeypatch.setenv("STRIPE_SANDBOX_KEY", key)
    with pytest.raises(pytest.UsageError, match="test key"):
        sandbox_key()
