"""Many subscriptions, some of them drifted in eight ways: each is found and repaired, and nothing else is touched.

`RECONCILE_SUBSCRIPTIONS` sets how many there are; one in four drifts. Some are bought through Checkout. Of the others
nothing was ever heard here, and the first run finds them all.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from billing import reconciliation
from billing.models import EntitlementChange, Invoice, Subscription
from billing.stripe import client as sdk
from tests.stack.customers import buy, newcomer, plan_of, price

pytestmark = pytest.mark.django_db(transaction=True)

MANY = int(os.environ.get("RECONCILE_SUBSCRIPTIONS", "32"))
BOUGHT = 8
WRONG = {
    "status": {"status": "canceled"},
    "plan": {"plan_id": "pro"},
    "period_end": {"period_end": timezone.now() + timedelta(days=400)},
    "quantity": {"quantity": 9},
    "cancels_at": {"cancels_at": timezone.now()},
    "price_id": {"price_id": "price_wrong"},
}


def plant(kind, subscription):
    """Spoil one row of ours; returns what reconciliation has to report."""
    if kind in WRONG:
        Subscription.objects.filter(pk=subscription.pk).update(**WRONG[kind])
        return (subscription.pk, kind)
    if kind == "missing":
        Subscription.objects.filter(pk=subscription.pk).delete()
        return (subscription.pk, kind)
    Invoice.objects.filter(pk=subscription.latest_invoice_id).update(total=1)
    return (subscription.latest_invoice_id, kind)


def made_at_stripe(user_id, price_id):
    """A subscription that somebody has there, of which no event ever came."""
    card = "pm_card_visa"
    paying = {"payment_method": card, "invoice_settings": {"default_payment_method": card}}
    customer = sdk.api().customers.create({**paying, "metadata": {"user": str(user_id)}})
    return sdk.api().subscriptions.create({"customer": customer.id, "items": [{"price": price_id}]}).id


def test_every_drift_among_many_is_found_and_repaired_and_nothing_else(at_simulated_stripe):
    people = [newcomer() for _number in range(MANY)]
    for user in people[:BOUGHT]:
        buy(user)
    make = partial(made_at_stripe, price_id=price().stripe_price_id)
    with ThreadPoolExecutor(4) as pool:
        unheard = set(pool.map(make, [user.pk for user in people[BOUGHT:]]))
    first = reconciliation.reconcile(now=timezone.now())
    assert {drift.object_id for drift in first if drift.kind == "missing"} == unheard
    rows = {row.customer.user_id: row for row in Subscription.objects.select_related("customer")}
    bought = [(user, rows[user.pk]) for user in people]
    kinds = itertools.cycle([*WRONG, "missing", "invoice total"])
    planted = {plant(next(kinds), subscription) for _user, subscription in bought[::4]}
    untouched = dict(
        Subscription.objects.filter(pk__in=[row.pk for _user, row in bought[1::4]]).values_list("pk", "fence")
    )
    found = reconciliation.reconcile(now=timezone.now())
    assert {(drift.object_id, drift.kind) for drift in found} == planted
    assert len(found) == len(planted)
    assert reconciliation.reconcile(now=timezone.now()) == []
    assert {plan_of(user) for user, _subscription in bought} == {"plus"}
    assert dict(Subscription.objects.filter(pk__in=untouched).values_list("pk", "fence")) == untouched
    assert EntitlementChange.objects.filter(user__in=[user for user, _row in bought]).latest("id").to_plan == "plus"
