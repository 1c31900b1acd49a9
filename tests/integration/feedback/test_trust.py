"""Ratings that nobody can have meant weigh less, and the dashboard says so; honest raters keep their whole weight."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from feedback import capture, dashboard
from feedback.trust import raters, weight, weights
from tests import factories

pytestmark = pytest.mark.django_db

START = timezone.now() - timedelta(hours=5)


def rate_many(values, *, every):
    """One person rates a reply after another; returns what they rated."""
    user = factories.UserFactory()
    replies = [factories.conversation(user, ("What is 2 + 2?", "Four.")) for _value in values]
    for number, (reply, value) in enumerate(zip(replies, values, strict=True)):
        capture.rate(user=user, message=reply, value=value, client_event_id=uuid.uuid4(), now=START + number * every)
    return user, replies


def seen():
    return raters(since=START - timedelta(days=1))


def test_who_rates_faster_than_anybody_reads_weighs_almost_nothing():
    rate_many([1, -1] * 6, every=timedelta(milliseconds=300))
    rate_many([1, -1] * 6, every=timedelta(minutes=1))
    hurried, calm = seen()
    assert (hurried.ratings, hurried.up, hurried.hurried) == (12, 6, 11)
    assert hurried.weight == pytest.approx(1 / 12)
    assert (calm.hurried, calm.weight) == (0, 1.0)


def test_adding_reasons_quickly_to_old_ratings_is_no_hurry():
    user, replies = rate_many([-1] * 10, every=timedelta(minutes=1))
    for number, reply in enumerate(replies):
        capture.rate(
            user=user,
            message=reply,
            value=-1,
            reasons=["incorrect"],
            client_event_id=uuid.uuid4(),
            now=START + timedelta(hours=1, milliseconds=number),
        )
    (rater,) = seen()
    assert (rater.ratings, rater.hurried, rater.weight) == (10, 0, 1.0)


# Others rate half up: 0.5 ** 20 is 9.5e-7, a ten-thousandth of what is rare. Where 98 % is up, twenty ups are usual.
def test_always_up_is_judged_by_what_others_say():
    assert weight(20, 20, 0, others=200, others_up=100) == pytest.approx(0.5**20 / 0.01)
    assert weight(20, 0, 0, others=200, others_up=100) < 0.001
    assert weight(20, 20, 0, others=98, others_up=49) == 1.0
    assert weight(20, 20, 0, others=998, others_up=979) == 1.0
    assert weight(20, 19, 0, others=200, others_up=100) == 1.0
    assert weight(9, 9, 8, others=200, others_up=100) == 1.0


def test_many_accounts_of_one_hand_count_once():
    """Simulated people: three accounts ask the same ten questions, a fourth asks ten of its own and one of theirs."""

    def ask(questions):
        user = factories.UserFactory()
        for number, question in enumerate(questions):
            reply = factories.conversation(user, (question, "Four."))
            now = START + number * timedelta(minutes=1)
            capture.rate(user=user, message=reply, value=(-1) ** number, client_event_id=uuid.uuid4(), now=now)
        return user

    same = [f"Question {number}?" for number in range(10)]
    hand = [ask(same), ask([question.upper() for question in same]), ask([*same[:9], "Something else?"])]
    honest = ask([*same[:1], *(f"My own {number}?" for number in range(10))])
    found = sorted((rater.accounts, round(rater.weight, 2)) for rater in seen())
    assert found == [(1, 1.0), (3, 0.33), (3, 0.33), (3, 0.33)]
    assert weights() == {user.pk: 0.33 for user in hand}
    assert honest.pk not in weights()


def test_the_dashboard_lists_them_without_a_name():
    user, _replies = rate_many([1] * 12, every=timedelta(milliseconds=100))
    rate_many([1, -1], every=timedelta(minutes=1))
    table = next(
        one
        for one in dashboard.tables(days=30, now=timezone.now(), viewer=User(is_superuser=True))
        if one.key == "trust"
    )
    (row,) = table.rows
    assert row[1:] == [12, 12, 11, 1, 0.08]
    assert row[0] not in (str(user.pk), user.email)
    assert len(row[0]) == 8
