"""People and plans, and subscriptions as Stripe would describe them."""

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import User
from billing import mirror, stripe
from billing.models import Customer, Plan
from billing.plans import seed_plans

numbers = itertools.count(1)


@pytest.fixture
def now():
    return datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def plans(db):
    seed_plans()
    for plan in Plan.objects.exclude(key="free"):
        plan.stripe_product_id = f"prod_{plan.key}"
        plan.save()


@pytest.fixture
def ann(plans):
    return User.objects.create_user("ann@example.org", "correct horse battery")


@pytest.fixture
def bob(plans):
    return User.objects.create_user("bob@example.org", "correct horse battery")


@pytest.fixture
def subscribe(now):
    """`subscribe(user, plan="plus", **changes)` saves what a fetch from Stripe would have brought."""

    def save(user, plan="plus", at=None, **changes):
        customer, _ = Customer.objects.get_or_create(user=user, defaults={"stripe_id": f"cus_{next(numbers)}"})
        facts = facts_of(customer, plan, at or now)
        facts = dataclasses.replace(facts, **changes)
        return mirror.save_subscription(facts, mirror.begin_fetch(cause="test", now=at or now))

    return save


def facts_of(customer, plan, now):
    return stripe.SubscriptionFacts(
        id=f"sub_{customer.stripe_id}",
        customer_id=customer.stripe_id,
        status="active",
        item_id="si_1",
        price_id=f"price_{plan}",
        product_id=f"prod_{plan}",
        interval="month",
        currency="usd",
        unit_amount=2000,
        quantity=1,
        started_at=now,
        period_start=now,
        period_end=now + timedelta(days=30),
        trial_end=None,
        cancels_at=None,
        ended_at=None,
        schedule_id="",
        latest_invoice_id="",
    )
