"""Events that arrive together are stored by one commit, and none is kept out by what is wrong with another."""

import asyncio

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from billing import stripe
from billing.group_commit import MOST_AT_ONCE, GroupCommit
from billing.models import StripeEvent
from billing.webhooks import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def delivery(event_id, kind="customer.updated"):
    now = timezone.now()
    return Delivery(stripe.EventFacts(event_id, kind, "customer", "cus_1", "", now), b"{}", now)


def stored_at_once(deliveries):
    """For each whether it was new, or what was raised."""

    async def store():
        commits = GroupCommit()
        return await asyncio.gather(*(commits.store(one) for one in deliveries), return_exceptions=True)

    return asyncio.run(store())


def transactions():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM billing_stripeevent")
        return cursor.fetchone()[0]


def test_what_arrives_together_is_one_commit(monkeypatch):
    # Whoever worked an event off meanwhile would have written its row anew.
    monkeypatch.setattr("billing.waking.wake", lambda: None)
    assert stored_at_once([delivery(f"evt_{number}") for number in range(MOST_AT_ONCE + 10)]) == [True] * 74
    assert StripeEvent.objects.count() == 74
    assert transactions() == 2


def test_an_event_that_comes_twice_in_one_batch_is_one_row():
    assert stored_at_once([delivery("evt_1"), delivery("evt_2"), delivery("evt_1")]) == [True] * 3
    assert stored_at_once([delivery("evt_1"), delivery("evt_3")]) == [False, True]
    assert StripeEvent.objects.count() == 3


def test_an_event_that_the_database_refuses_keeps_no_other_out():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_stripeevent ADD CONSTRAINT no_poison CHECK (type <> 'poison')")
    try:
        outcomes = stored_at_once([delivery("evt_1"), delivery("evt_2", "poison"), delivery("evt_3")])
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE billing_stripeevent DROP CONSTRAINT no_poison")
    assert [type(outcome) for outcome in outcomes] == [bool, IntegrityError, bool]
    assert set(StripeEvent.objects.values_list("pk", flat=True)) == {"evt_1", "evt_3"}


def test_who_hangs_up_before_the_answer_costs_nobody_theirs():
    async def store():
        commits = GroupCommit()
        first, second = (asyncio.create_task(commits.store(delivery(name))) for name in ("evt_1", "evt_2"))
        await asyncio.sleep(0)  # both wait in the batch
        first.cancel()
        return await second

    assert asyncio.run(store()) is True
    assert StripeEvent.objects.count() == 2
