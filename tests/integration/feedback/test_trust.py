"""Ratings and choices that nobody can have meant weigh less, and the dashboard says so; honest raters weigh all."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from chat.models import Reply
from feedback import capture, comparing, dashboard
from feedback.models import Comparison, ComparisonEvent, Rating
from feedback.trust import Opinions, raters, weight, weights
from tests import factories
from tests.integration.feedback.test_release import frozen

pytestmark = pytest.mark.django_db

START = timezone.now() - timedelta(hours=5)


def rate_many(values, *, every):
    """One person rates a reply after another; returns what they rated."""
    user = factories.UserFactory()
    replies = [factories.conversation(user, ("What is 2 + 2?", "Four.")) for _value in values]
    for number, (reply, value) in enumerate(zip(replies, values, strict=True)):
        capture.rate(user=user, message=reply, value=value, client_event_id=uuid.uuid4(), now=START + number * every)
    return user, replies


def compare_many(choices, *, looked, user=None, question="Name {}.", every=timedelta(minutes=1)):
    """One person compares two replies after another, `looked` after both had begun."""
    user = user or factories.UserFactory()
    for number, choice in enumerate(choices):
        began = START + number * every
        reply = factories.conversation(user, (question.format(number), "Four."))
        compared = comparing.compare(reply=reply.reply, now=began - timedelta(seconds=30))
        for side in compared.sides:
            type(side).objects.filter(pk=side.pk).update(content="Four.")
        done = {"state": "complete", "started_at": began, "finished_at": began}
        Reply.objects.filter(message__in=compared.sides).update(**done)
        comparing.answer(comparison_id=compared.pk, user=user, choice=choice, now=began + looked)
    return user


def seen():
    return raters(since=START - timedelta(days=1))


def test_who_rates_faster_than_anybody_reads_weighs_almost_nothing():
    rate_many([1, -1] * 6, every=timedelta(milliseconds=300))
    rate_many([1, -1] * 6, every=timedelta(minutes=1))
    hurried, calm = seen()
    assert hurried.lately == Opinions(ratings=12, up=6, hurried_ratings=11)
    assert hurried.weight == pytest.approx(1 / 12)
    assert (calm.lately.hurried, calm.weight) == (0, 1.0)


def test_who_chooses_faster_than_two_replies_can_be_read_weighs_almost_nothing():
    quick = compare_many(["left", "right", "tie", "neither"] * 3, looked=timedelta(seconds=3))
    compare_many(["left", "right", "tie", "neither"] * 3, looked=timedelta(seconds=5), question="My own {}?")
    hurried, calm = seen()
    assert hurried.lately == Opinions(answers=12, left=3, right=3, hurried_answers=12)
    assert (hurried.weight, calm.weight) == (0.0, 1.0)
    assert weights() == {quick.pk: 0.0}


def test_a_release_is_frozen_with_what_choices_weigh():
    quick = compare_many(["left", "right"] * 6, looked=timedelta(seconds=1), user=factories.consenting_user())
    calm = compare_many(
        ["left", "right"] * 6, looked=timedelta(minutes=1), user=factories.consenting_user(), question="My own {}?"
    )
    given_by = dict(ComparisonEvent.objects.values_list("pk", "user"))
    members = frozen().members.values_list("event_id", "weight")
    assert {(given_by[event], weight) for event, weight in members} == {(quick.pk, 0.0), (calm.pk, 1.0)}


def test_a_comparison_that_stood_open_is_read_from_when_the_last_one_was_answered():
    """Twelve were open for an hour, and then all answered within seconds."""
    compare_many(["left", "right"] * 6, looked=timedelta(hours=1), every=timedelta(seconds=1))
    (hurried,) = seen()
    assert (hurried.lately.hurried_answers, hurried.weight) == (11, pytest.approx(1 / 12))


def test_going_through_old_choices_and_changing_them_is_no_hurry():
    user = compare_many(["left", "right"] * 6, looked=timedelta(minutes=1))
    other = {"left": "right", "right": "left"}
    for number, one in enumerate(Comparison.objects.filter(user=user)):
        later = START + timedelta(days=1, seconds=number)
        comparing.answer(comparison_id=one.pk, user=user, choice=other[one.choice], now=later)
    (calm,) = seen()
    assert (calm.lately.answers, calm.lately.hurried, calm.weight) == (12, 0, 1.0)


def test_what_was_skipped_is_no_opinion():
    compare_many(["skipped"] * 12, looked=timedelta(seconds=1))
    assert (seen(), weights()) == ([], {})


def test_ratings_and_comparisons_of_a_person_make_one_weight():
    """Neither five hurried ratings nor seven hurried choices are enough to judge anybody by; both together are."""
    user, _replies = rate_many([1, -1, 1, -1, 1], every=timedelta(milliseconds=300))
    assert weights() == {}
    compare_many(["left", "right"] * 3 + ["tie"], looked=timedelta(seconds=1), user=user)
    assert weights() == {user.pk: round(1 / 12, 2)}


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
    assert (rater.lately.ratings, rater.lately.hurried, rater.weight) == (10, 0, 1.0)


# Others rate half up: 0.5 ** 20 is 9.5e-7, a ten-thousandth of what is rare. Where 98 % is up, twenty ups are usual.
def test_always_up_is_judged_by_what_others_say():
    def judged(ratings, up, hurried, *, others, others_up):
        return weight(Opinions(ratings, up, hurried), others=Opinions(others, others_up))

    assert judged(20, 20, 0, others=200, others_up=100) == pytest.approx(0.5**20 / 0.01)
    assert judged(20, 0, 0, others=200, others_up=100) < 0.001
    assert judged(20, 20, 0, others=98, others_up=49) == 1.0
    assert judged(20, 20, 0, others=998, others_up=979) == 1.0
    assert judged(20, 19, 0, others=200, others_up=100) == 1.0
    assert judged(9, 9, 8, others=200, others_up=100) == 1.0


# Who stands left is drawn, so others choose it about half the time: 101 of 202 with the one that is added.
def test_always_the_same_side_is_judged_by_what_others_choose():
    def judged(left, right, ties=0, *, others_left=100, others_right=100):
        said = Opinions(answers=left + right + ties, left=left, right=right)
        return weight(said, others=Opinions(answers=900, left=others_left, right=others_right))

    assert judged(20, 0) == pytest.approx(0.5**20 / 0.01)
    assert judged(0, 20) == pytest.approx(0.5**20 / 0.01)
    assert judged(20, 0, ties=30) == pytest.approx(0.5**20 / 0.01)
    assert judged(19, 1) == judged(10, 10) == judged(0, 0, ties=30) == judged(9, 0, ties=30) == 1.0
    assert judged(20, 0, others_left=49, others_right=49) == 1.0
    # On a page that everybody reads from the left it says little.
    assert judged(20, 0, others_left=979, others_right=19) == 1.0


def test_who_always_chooses_the_left_one_weighs_less_and_those_beside_them_do_not():
    lazy = compare_many(["left"] * 12, looked=timedelta(minutes=1))
    for number in range(10):
        compare_many(["left", "right"] * 5, looked=timedelta(minutes=1), question=f"{number}: {{}}")
    assert weights() == {lazy.pk: round(0.5**12 / 0.01, 2)}


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


def test_accounts_that_compare_the_same_questions_are_one_hand():
    """One rates what the other two compare; a fourth compares other questions."""
    same = [f"Question {number}?" for number in range(10)]
    hand = [compare_many(["left", "right"] * 5, looked=timedelta(minutes=1), question="Question {}?") for _one in "ab"]
    rating = factories.UserFactory()
    for number, question in enumerate(same):
        reply = factories.conversation(rating, (question, "Four."))
        now = START + number * timedelta(minutes=1)
        capture.rate(user=rating, message=reply, value=(-1) ** number, client_event_id=uuid.uuid4(), now=now)
    compare_many(["left", "right"] * 5, looked=timedelta(minutes=1), question="My own {}?")
    assert weights() == {user.pk: 0.33 for user in (*hand, rating)}


def trust_table(days):
    every = dashboard.tables(days=days, now=timezone.now(), viewer=User(is_superuser=True))
    return next(one for one in every if one.key == "trust")


def test_the_dashboard_lists_them_without_a_name():
    user, _replies = rate_many([1] * 12, every=timedelta(milliseconds=100))
    rate_many([1, -1], every=timedelta(minutes=1))
    (row,) = trust_table(30).rows
    assert row[1:] == [0.08, 1, 12, 12, 0, 0, 11]
    assert row[0] not in (str(user.pk), user.email)
    assert len(row[0]) == 8


def test_the_weight_shown_is_the_one_that_counts_whatever_period_is_looked_at():
    user, replies = rate_many([1] * 12, every=timedelta(milliseconds=100))
    compare_many(["left", "left", "right"], looked=timedelta(seconds=1), user=user)
    month_ago = timezone.now() - timedelta(days=30)
    Rating.objects.filter(message__in=replies[:10]).update(rated_at=month_ago)
    counted = weights()[user.pk]
    for days, ratings in ((7, 2), (90, 12)):
        (row,) = trust_table(days).rows
        assert row[1] == counted == round(1 / 15, 2)
        assert row[3:7] == [ratings, ratings, 3, 2]
