"""What a person may take, when it is refused, and that everything is counted once."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection

from billing import quota
from billing.models import Plan, Reservation, UsageBucket

pytestmark = pytest.mark.django_db


def limits(**values):
    Plan.objects.filter(key="free").update(**values)


def take(user, now, request_id=None, prompt=100, longest=200, **more):
    named = {"user": user, "request_id": request_id or uuid.uuid4(), "now": now, **more}
    return quota.reserve(prompt_tokens=prompt, max_output_tokens=longest, **named)


def test_the_window_opens_with_the_first_message_and_resets_exactly_when_it_said(ann, now):
    limits(messages_per_window=2, concurrent_replies=10)
    assert quota.allowance_of(ann, now=now).resets_at is None
    first = take(ann, now)
    take(ann, now + timedelta(minutes=5))
    assert first.resets_at == now + timedelta(hours=3)
    with pytest.raises(quota.QuotaExceeded) as refused:
        take(ann, now + timedelta(hours=3) - timedelta(microseconds=1))
    assert (refused.value.code, refused.value.limit, refused.value.used) == ("messages", 2, 2)
    assert refused.value.resets_at == first.resets_at
    assert take(ann, first.resets_at).remaining_messages == 1


def test_a_refusal_takes_nothing_from_any_bucket(ann, now):
    limits(messages_per_window=1, concurrent_replies=10)
    take(ann, now)
    before = list(UsageBucket.objects.order_by("kind").values())
    with pytest.raises(quota.QuotaExceeded):
        take(ann, now)
    assert list(UsageBucket.objects.order_by("kind").values()) == before
    assert Reservation.objects.count() == 1


def test_the_same_request_is_granted_once_even_when_the_limit_is_reached_by_it(ann, now):
    limits(messages_per_window=1, concurrent_replies=1)
    request_id = uuid.uuid4()
    assert take(ann, now, request_id) == take(ann, now, request_id)
    assert quota.allowance_of(ann, now=now).used == 1


def test_a_reply_is_shortened_to_what_is_left_of_the_month_rather_than_refused(ann, now):
    limits(tokens_per_month=350, concurrent_replies=10)
    assert take(ann, now).max_output_tokens == 200
    with pytest.raises(quota.QuotaExceeded) as refused:
        take(ann, now)
    assert refused.value.code == "tokens"
    assert take(ann, now, prompt=20).max_output_tokens == 30


def test_replies_at_once_are_limited_until_one_ends(ann, now):
    limits(concurrent_replies=1)
    request_id = take(ann, now).request_id
    with pytest.raises(quota.QuotaExceeded) as refused:
        take(ann, now)
    assert refused.value.code == "concurrency"
    quota.settle(request_id=request_id, prompt_tokens=5, completion_tokens=5, now=now)
    assert take(ann, now)


def test_settling_counts_what_the_model_counted_and_only_once(ann, now):
    request_id = take(ann, now).request_id
    for _again in range(3):
        quota.settle(request_id=request_id, prompt_tokens=7, completion_tokens=5, now=now)
    quota.release(request_id=request_id, now=now)
    allowance = quota.allowance_of(ann, now=now)
    assert (allowance.used, allowance.tokens_used) == (1, 12)
    assert not UsageBucket.objects.filter(reserved__gt=0).exists()


def test_a_reply_that_delivered_nothing_is_free(ann, now):
    request_id = take(ann, now).request_id
    quota.release(request_id=request_id, now=now)
    quota.settle(request_id=request_id, prompt_tokens=7, completion_tokens=5, now=now)
    allowance = quota.allowance_of(ann, now=now)
    assert (allowance.used, allowance.tokens_used) == (0, 0)


def test_what_a_dead_worker_reserved_comes_back_and_a_heartbeat_keeps_it(ann, now):
    dead, alive = take(ann, now).request_id, take(ann, now).request_id
    later = now + quota.FIRST_LEASE + timedelta(seconds=1)
    quota.extend(request_id=alive, now=later)
    assert quota.expire_abandoned(now=later) == 1
    assert quota.allowance_of(ann, now=later).used == 1
    quota.settle(request_id=dead, prompt_tokens=3, completion_tokens=4, now=later)
    assert quota.allowance_of(ann, now=later).used == 2
    assert UsageBucket.objects.get(kind="concurrency").reserved == 1


def test_a_reply_that_ends_in_the_next_window_does_not_count_in_it(ann, now):
    request_id = take(ann, now).request_id
    later = now + timedelta(hours=4)
    take(ann, later)
    quota.settle(request_id=request_id, prompt_tokens=1, completion_tokens=1, now=later)
    assert quota.allowance_of(ann, now=later).used == 1


def test_an_upgrade_acts_on_the_next_message_and_keeps_what_was_used(ann, now, subscribe):
    limits(messages_per_window=1, concurrent_replies=10)
    take(ann, now)
    with pytest.raises(quota.QuotaExceeded):
        take(ann, now)
    subscribe(ann, "plus")
    assert take(ann, now).remaining_messages == 158


def test_the_smaller_model_goes_on_in_the_same_window_and_no_further_than_the_plan_says(ann, now):
    limits(messages_per_window=1, smaller_model_messages=1, concurrent_replies=10)
    take(ann, now)
    with pytest.raises(quota.QuotaExceeded):
        take(ann, now)
    assert take(ann, now, with_smaller_model=True).remaining_messages == 0
    assert quota.allowance_of(ann, now=now).remaining == 0
    with pytest.raises(quota.QuotaExceeded) as refused:
        take(ann, now, with_smaller_model=True)
    assert (refused.value.limit, refused.value.used) == (2, 2)
    assert take(ann, refused.value.resets_at)


def test_a_lower_limit_never_shows_less_than_nothing(ann, now):
    limits(concurrent_replies=10)
    for _ in range(5):
        take(ann, now)
    limits(messages_per_window=2)
    assert quota.allowance_of(ann, now=now).remaining == 0


@pytest.mark.parametrize("plan", ["free", "plus"])
def test_the_longest_reply_is_the_plans(ann, now, subscribe, plan):
    if plan != "free":
        subscribe(ann, plan)
    assert take(ann, now, longest=10**6).max_output_tokens == Plan.objects.get(key=plan).max_output_tokens


def test_each_connection_has_the_statements_of_a_message_planned_once(ann, now):
    for longest in (10, 100_000):
        limits(max_output_tokens=longest, tokens_per_month=10**7)
        request_id = take(ann, now, prompt=longest, longest=longest).request_id
        quota.settle(request_id=request_id, prompt_tokens=longest, completion_tokens=longest, now=now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        statements = [statement for (statement,) in cursor.fetchall()]
    for words in ("AS subscription_ids", "INSERT INTO billing_reservation", "UPDATE billing_reservation"):
        assert sum(words in statement for statement in statements) == 1, statements
