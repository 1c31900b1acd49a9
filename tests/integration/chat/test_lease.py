"""Who writes a reply: one worker at a time, the next one when its lease is over, and never the one before again."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from accounts.models import User
from billing import quota
from billing.models import Reservation
from billing.plans import seed_plans
from chat import background, sending, streams
from chat import reply as replies
from chat.drafts import Outcome
from chat.models import Message, Reply
from chat.streams import LeaseLost, Publisher

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("alone")]

LEASE = timedelta(seconds=settings.REPLY_LEASE_SECONDS)


@pytest.fixture
def reply():
    seed_plans()
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    return sending.start_conversation(user=user, content="Hello", client_id=uuid.uuid4(), now=timezone.now())


@pytest.fixture
def woken(monkeypatch):
    """The replies for which a worker was woken."""
    ids = []
    monkeypatch.setattr(sending, "wake", lambda reply: ids.append(reply.pk))
    return ids


def taken_over(reply):
    """The drafts of a worker that fell silent and of the one that went on."""
    now = timezone.now()
    return replies._claim(reply.pk, now=now), replies._claim(reply.pk, now=now + LEASE)


def test_of_many_workers_that_are_woken_one_takes_the_reply(reply):
    def claim(_number):
        try:
            return replies._claim(reply.pk, now=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        taken = [draft for draft in pool.map(claim, range(8)) if draft]
    assert [draft.attempt for draft in taken] == [1]


def test_the_next_worker_waits_for_the_end_of_the_lease(reply):
    now = timezone.now()
    assert replies._claim(reply.pk, now=now)
    assert replies._claim(reply.pk, now=now + LEASE - timedelta(milliseconds=1)) is None
    assert replies._claim(reply.pk, now=now + LEASE).attempt == 2


def test_a_heartbeat_keeps_the_lease_and_of_one_who_lost_it_none_does(reply):
    first, second = taken_over(reply)
    with pytest.raises(LeaseLost):
        replies._heartbeat(first, "old")
    replies._heartbeat(second, "new")
    assert Reply.objects.get(pk=reply.pk).checkpoint == "new"


def test_who_lost_the_lease_settles_nothing_and_the_other_settles_once(reply):
    first, second = taken_over(reply)
    ended = {"state": Reply.State.COMPLETE, "finish_reason": "stop", "prompt_tokens": 5}
    now = timezone.now()
    replies._finish(first, Outcome(text="old", completion_tokens=90, **ended), now=now)
    assert Reply.objects.get(pk=reply.pk).state == "running"
    for _time in range(2):
        replies._finish(second, Outcome(text="new", completion_tokens=2, **ended), now=now)
    replies._finish(first, Outcome(text="old", completion_tokens=90, **ended), now=now)
    assert Message.objects.get(pk=reply.pk).content == "new"
    (paid,) = Reservation.objects.all()
    assert (paid.state, paid.completion_tokens) == ("settled", 2)


def test_the_end_waits_for_a_database_that_is_away(reply, monkeypatch):
    draft, real, tried = replies._claim(reply.pk, now=timezone.now()), replies._record, []

    def record(*given):
        tried.append(1)
        if len(tried) < 3:
            raise OperationalError("the server closed the connection unexpectedly")
        real(*given)

    monkeypatch.setattr(replies, "_record", record)
    monkeypatch.setattr(replies, "PAUSE_SECONDS", 0)
    replies._end(draft, Outcome(state=Reply.State.COMPLETE, text="All of it", completion_tokens=3))
    assert Message.objects.get(pk=reply.pk).content == "All of it"
    assert Reservation.objects.get().state == "settled"


def test_who_lost_the_lease_shows_nothing_any_more(reply):
    async def write_in_turns():
        client = streams.async_connection()
        try:
            first, second = (Publisher(client, reply_id=reply.pk, attempt=attempt) for attempt in (1, 2))
            await first.take("")
            await first.append("One", shown=0, events=[], everything=list)
            assert await second.take("") == ("One", False)
            await second.append("One two", shown=3, events=[], everything=list)
            with pytest.raises(LeaseLost):
                await first.append("One three", shown=3, events=[], everything=list)
            with pytest.raises(LeaseLost):
                await first.take("")
            return await client.get(streams.Keys(reply.pk)["text"])
        finally:
            await client.aclose()

    assert background.run(write_in_turns()) == "One two"


def test_who_lost_the_lease_shows_nothing_after_valkey_has_lost_all_either(reply):
    async def write_in_turns():
        client = streams.async_connection()
        try:
            first, second = (Publisher(client, reply_id=reply.pk, attempt=attempt) for attempt in (1, 2))
            await first.take("")
            await second.take("")
            await client.flushdb()
            await first.append("One", shown=0, events=[], everything=list)
            await second.append("One two", shown=3, events=[], everything=list)
            with pytest.raises(LeaseLost):
                await first.append("One three", shown=3, events=[], everything=list)
            return await client.get(streams.Keys(reply.pk)["text"])
        finally:
            await client.aclose()

    assert background.run(write_in_turns()) == "One two"


def test_a_wake_up_that_was_lost_is_made_good_after_a_lease_and_not_before(reply, woken):
    queued_at = Reply.objects.get(pk=reply.pk).enqueued_at
    assert replies.sweep(now=queued_at + LEASE) == 0
    assert replies.sweep(now=queued_at + LEASE + timedelta(milliseconds=1)) == 1
    assert replies.sweep(now=queued_at + LEASE + timedelta(seconds=1)) == 0, "it was woken a moment ago"
    assert woken == [reply.pk]


def test_a_worker_that_died_is_replaced_after_its_lease(reply, woken):
    now = timezone.now()
    replies._claim(reply.pk, now=now)
    assert replies.sweep(now=now + LEASE) == 0
    assert replies.sweep(now=now + LEASE + timedelta(milliseconds=1)) == 1
    assert woken == [reply.pk]


def test_a_reply_that_kills_its_workers_is_given_up_and_costs_nothing(reply):
    now = timezone.now()
    for attempt in range(Reply.MAX_ATTEMPTS):
        assert replies._claim(reply.pk, now=now + attempt * LEASE).failure == ""
    draft = replies._claim(reply.pk, now=now + Reply.MAX_ATTEMPTS * LEASE)
    assert draft.failure == "too_many_attempts"
    replies._finish(draft, Outcome(state=Reply.State.FAILED, text="Half", error=draft.failure), now=now)
    assert quota.allowance_of(reply.user, now=now).used == 0


def test_a_stop_is_heard_with_a_heartbeat_and_by_whoever_takes_over(reply, monkeypatch):
    now = timezone.now()
    draft = replies._claim(reply.pk, now=now)
    monkeypatch.setattr(streams, "request_stop", lambda _reply_id: None)  # Valkey forgets it
    for _time in range(2):
        sending.request_stop(reply=reply, now=now)
    replies._heartbeat(draft, "")
    assert draft.is_stop_requested
    Reply.objects.update(lease_until=now)
    assert replies._claim(reply.pk, now=now).is_stop_requested
