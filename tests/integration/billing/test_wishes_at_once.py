"""What is wished about one subscription at the same time, while Stripe is slow: the newest wish comes true, last.

Real threads with connections of their own, and a simulated Stripe that does late what it was asked early.
"""

import time
import uuid
from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from accounts import erasure
from billing import checkout, commands, stripe, subscriptions, tasks, turns
from billing.models import StripeCommand, Turn
from billing.stripe import client as sdk
from tests.stack.at_once import Deed, under_way
from tests.stack.customers import buy, newcomer, price
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def url(at_simulated_stripe):
    yield at_simulated_stripe
    httpx.delete(f"{at_simulated_stripe}/_ctl/faults").raise_for_status()


@pytest.fixture
def ann(url):
    return newcomer("ann")


@pytest.fixture
def plus(ann):
    return buy(ann)


def cancellation(subscription):
    return {"subscription": subscription, "reason": "unused", "comment": "", **wish()}


def wish():
    return {"wish_id": uuid.uuid4(), "now": timezone.now()}


def test_what_is_taken_back_while_it_is_under_way_is_taken_back(url, plus):
    with under_way(url, f"/v1/subscriptions/{plus.pk}", 1.5, subscriptions.cancel, **cancellation(plus)) as first:
        subscriptions.resume(subscription=plus, **wish())
    assert first.problem is None
    assert stripe.retrieve_subscription(plus.pk).cancels_at is None
    plus.refresh_from_db()
    assert plus.cancels_at is None
    assert set(StripeCommand.objects.filter(kind="update_subscription").values_list("state", flat=True)) == {"done"}
    assert not Turn.objects.exists()


def test_of_those_who_wait_the_newest_wish_comes_true_and_the_others_are_told(url, plus):
    with under_way(url, f"/v1/subscriptions/{plus.pk}", 2.5, subscriptions.cancel, **cancellation(plus)):
        older = Deed(subscriptions.resume, subscription=plus, **wish())
        wait_until(lambda: newest_of(plus) not in (None, holder_of(plus)))
        subscriptions.cancel(**cancellation(plus))
        older.join(30)
    assert str(older.problem) == "busy"
    assert stripe.retrieve_subscription(plus.pk).cancels_at is not None


def newest_of(subscription):
    return Turn.objects.filter(pk=subscription.pk).values_list("newest", flat=True).first()


def holder_of(subscription):
    return Turn.objects.filter(pk=subscription.pk).values_list("holder", flat=True).first()


def test_who_would_wait_too_long_is_told_to_try_again(url, ann, plus, client, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.3)
    client.force_login(ann)
    with under_way(url, f"/v1/subscriptions/{plus.pk}", 3, subscriptions.cancel, **cancellation(plus)):
        began = time.monotonic()
        answer = client.post("/billing/resume", {"wish": uuid.uuid4()}, follow=True)
        assert time.monotonic() - began < 2
    assert "An earlier change of your plan is still being made." in answer.content.decode()
    assert stripe.retrieve_subscription(plus.pk).cancels_at is not None
    assert StripeCommand.objects.filter(kind="update_subscription").count() == 1


def test_a_worker_that_tries_an_old_wish_again_undoes_no_newer_one(url, settings, plus):
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    with pytest.raises(stripe.StripeUnavailable):
        subscriptions.cancel(**cancellation(plus))
    settings.STRIPE_API_BASE = url
    later = timezone.now() + commands.FIRST_RETRY
    with under_way(url, f"/v1/subscriptions/{plus.pk}", 1.5, commands.run_waiting, now=later):
        subscriptions.resume(subscription=plus, **wish())
    assert stripe.retrieve_subscription(plus.pk).cancels_at is None


def test_a_worker_leaves_alone_what_is_under_way(url, plus):
    with under_way(url, f"/v1/subscriptions/{plus.pk}", 1.5, subscriptions.cancel, **cancellation(plus)):
        assert commands.run_waiting(now=timezone.now() + commands.FIRST_RETRY) == 0
    assert StripeCommand.objects.get(kind="update_subscription").attempts == 1


def test_the_turn_of_a_process_that_died_lapses(plus, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0)
    gone = uuid.uuid4()
    Turn.objects.create(subject=plus.pk, holder=gone, newest=gone, lapses_at=timezone.now() + turns.LASTS)
    with pytest.raises(subscriptions.CannotChange, match="busy"):
        subscriptions.cancel(**cancellation(plus))
    Turn.objects.update(lapses_at=timezone.now())
    subscriptions.cancel(**cancellation(plus))
    assert stripe.retrieve_subscription(plus.pk).cancels_at is not None


def test_a_wish_of_several_slow_requests_keeps_its_turn_until_its_end(url, ann, monkeypatch):
    monkeypatch.setattr(turns, "LASTS", timedelta(seconds=5))
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 30.0)
    pro = buy(ann, price=price("pro"))
    down = {"subscription": pro, "price": price("plus"), "quantity": 1, "at": timezone.now()}
    subscriptions.change(**down, **wish())
    pro.refresh_from_db()
    slow = {"kind": "late", "seconds": 3, "path": f"/v1/subscriptions/{pro.pk}", "method": "POST"}
    httpx.post(f"{url}/_ctl/faults", json=slow).raise_for_status()
    cancelling = {"what": subscriptions.cancel, **cancellation(pro)}
    with under_way(url, f"/v1/subscription_schedules/{pro.schedule_id}/release", 3, **cancelling) as first:
        subscriptions.resume(subscription=pro, **wish())
    assert first.problem is None
    assert stripe.retrieve_subscription(pro.pk).cancels_at is None, "the newest wish came true last"


def test_a_wish_whose_turn_has_become_anothers_asks_for_nothing_more(plus):
    other = uuid.uuid4()
    with turns.newest(plus.pk):
        assert stripe.retrieve_subscription(plus.pk)
        Turn.objects.update(holder=other, newest=other)
        with pytest.raises(turns.NotYourTurn):
            stripe.retrieve_subscription(plus.pk)
    assert Turn.objects.get().holder == other


def test_turns_that_lapsed_are_forgotten_at_night_and_no_other(url):
    for age, subject in ((timedelta(hours=1), "old"), (timedelta(0), "just now"), (-turns.LASTS, "under way")):
        gone = uuid.uuid4()
        Turn.objects.create(subject=subject, holder=gone, newest=gone, lapses_at=timezone.now() - age)
    tasks.reconcile()
    assert set(Turn.objects.values_list("subject", flat=True)) == {"just now", "under way"}


def test_whoever_leaves_while_something_is_under_way_is_forgotten_all_the_same(url, ann, settings):
    email, user_id = ann.email, str(ann.pk)
    with under_way(url, "/v1/customers", 1.5, checkout.ensure_customer, user=ann, now=timezone.now()):
        erasure.erase(ann.pk, now=timezone.now())
    rows = list(StripeCommand.objects.values())
    assert not [row for row in rows if email in str(row) or user_id in str(row)]
    commands.run_waiting(now=timezone.now() + commands.ON_ITS_WAY * 2)
    assert not list(sdk.pages(sdk.api().customers.list, {"email": email}))
