"""Many opinions in one call: all of them or none, each once, in their order."""

import random
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import consent
from feedback import capture, ratings_api
from feedback.models import FeedbackEvent, Rating
from tests import factories

pytestmark = pytest.mark.django_db

BATCH = "/api/feedback/batch"


@pytest.fixture
def person():
    cache.clear()
    return factories.consenting_user()


def replies(person, count):
    return [factories.conversation(person, (f"What is {number}?", "A number.")) for number in range(count)]


def about(reply, value=1, **more):
    return {"reply": str(reply.pk), "value": value, "client_event_id": str(uuid.uuid4()), **more}


def post(person, events):
    client = Client()
    client.force_login(person)
    return client.post(BATCH, {"events": events}, content_type="application/json")


def ratings():
    return dict(Rating.objects.values_list("message_id", "value"))


def test_many_are_taken_at_once_and_sent_again_they_are_the_same(person):
    events = [about(reply, -1, reasons=["incorrect", "too_long"], comment=" No. ") for reply in replies(person, 3)]
    first, second = post(person, events), post(person, events)
    assert first.json() == second.json()
    assert [one["reasons"] for one in first.json()["ratings"]] == [["incorrect", "too_long"]] * 3
    assert FeedbackEvent.objects.count() == 3
    event = FeedbackEvent.objects.get(message=events[1]["reply"])
    assert (event.comment, event.value, event.had_consent) == ("No.", -1, True)
    assert event.snapshot == capture.snapshot(event.message)


def test_of_several_about_one_reply_the_last_one_lives_and_all_are_kept(person):
    kept, gone = replies(person, 2)
    taken_back = [about(kept, 0, reasons=["}, {", 'any"'], comment="No."), about(gone, 0)]
    events = [about(kept, 1), about(gone, 1), *taken_back, about(kept, -1)]
    assert [one["value"] for one in post(person, events).json()["ratings"]] == [-1]
    assert ratings() == {kept.pk: -1}
    history = FeedbackEvent.objects.filter(message=kept).order_by("created_at", "id")
    assert [(event.kind, event.value) for event in history] == [("thumb", 1), ("retract", None), ("thumb", -1)]
    assert (history[1].reasons, history[1].comment) == ([], "")


def test_a_late_repeat_undoes_nothing_newer(person):
    first, second = replies(person, 2)
    events = [about(first, 1), about(second, 0)]
    post(person, events)
    post(person, [about(first, 0), about(second, -1)])
    assert post(person, events).status_code == 200
    assert ratings() == {second.pk: -1}


@pytest.mark.parametrize(
    "bad", [{"value": 2}, {"reasons": ["nonsense"]}, {"comment": "x" * 4001}, {"reply": "nonsense"}, {"value": None}]
)
def test_one_that_makes_no_sense_and_none_is_taken(person, bad):
    good, other = replies(person, 2)
    assert post(person, [about(good), {**about(other), **bad}]).status_code == 400
    assert not FeedbackEvent.objects.exists()


def test_an_event_id_of_something_else_is_refused_with_all_that_came_with_it(person):
    first, second, third = replies(person, 3)
    known = about(first)
    post(person, [known])
    for wrong in (about(second, client_event_id=known["client_event_id"]), {**known, "value": 0}):
        assert post(person, [about(third), wrong]).status_code == 400
    twice = about(second)
    assert post(person, [twice, {**twice, "reply": str(third.pk)}]).status_code == 400
    assert ratings() == {first.pk: 1}


def test_what_is_not_ones_own_is_not_there(person):
    mine, theirs = replies(person, 1)[0], replies(factories.consenting_user(), 1)[0]
    for other in (str(theirs.pk), str(mine.parent_id), str(uuid.uuid4())):
        assert post(person, [about(mine), {**about(mine), "reply": other}]).status_code == 404
    assert not FeedbackEvent.objects.exists()


@pytest.mark.parametrize("count", [0, ratings_api.MOST_AT_ONCE + 1])
def test_none_or_too_many_are_refused(person, count):
    reply = replies(person, 1)[0]
    assert post(person, [about(reply) for _number in range(count)]).status_code == 400


def test_each_keeps_the_consent_of_its_own_conversation(person):
    allowed, forbidden = replies(person, 2)
    consent.withdraw(person, scope="conversation", subject_id=forbidden.conversation_id, now=timezone.now())
    post(person, [about(allowed), about(forbidden)])
    assert dict(FeedbackEvent.objects.values_list("message_id", "had_consent")) == {
        allowed.pk: True,
        forbidden.pk: False,
    }


@pytest.mark.django_db(transaction=True)
def test_the_same_many_in_any_order_eight_times_at_once_are_each_once(person):
    opinions = [capture.Opinion(reply, 1, uuid.uuid4()) for reply in replies(person, 20)]

    def say(number):
        turned = [*opinions[number:], *opinions[:number]]
        try:
            return len(capture.say(user=person, opinions=turned if number % 2 else turned[::-1], now=timezone.now()))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(say, range(8))) == {20}
    assert FeedbackEvent.objects.count() == Rating.objects.count() == 20


@pytest.mark.django_db(transaction=True)
def test_whoever_rates_and_takes_back_the_same_many_at_once_waits_and_loses_nothing(person):
    rated = replies(person, 6)

    def say(number):
        draw = random.Random(number)
        try:
            for _time in range(20):
                opinions = [
                    capture.Opinion(reply, draw.choice([1, -1, 0]), uuid.uuid4()) for reply in draw.sample(rated, 4)
                ]
                capture.say(user=person, opinions=opinions, now=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(say, range(6)))
    assert FeedbackEvent.objects.count() == 6 * 20 * 4
