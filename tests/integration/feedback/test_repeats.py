"""What a reader decided is given to them once more, and tells of them alone."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone

from feedback import repeats, review
from feedback.models import Escalation, Rating, RepeatAnswer, ReviewDecision, ReviewLease
from feedback.reviewer_trust import reviewers
from tests import reviewing
from tests.integration.feedback.test_review import delete
from tests.integration.feedback.test_sampling import Reader, rated

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_else_by_chance(settings):
    """All that was decided is drawn, and is given as soon as something else waits."""
    settings.REVIEW_RANDOM_SHARE = settings.REVIEW_GOLD_SHARE = 0.0
    settings.REVIEW_REPEAT_SHARE = 1.0


@pytest.fixture
def reader():
    return Reader("adjudicate")


def decided(reader, verdict="approved", ago=repeats.REPEAT_AFTER, **more):
    rating = rated(**more)
    reviewing.decide(rating_id=rating.pk, reviewer=reader.user, verdict=verdict, now=timezone.now() - ago)
    return rating


def given_again(reader):
    """What they are given although they decided it; None where they are given anything else."""
    found = reader.given()
    return found if ReviewDecision.objects.filter(event=found.event_id, reviewer=reader.user).exists() else None


def test_what_was_decided_a_week_ago_comes_once_more_looks_like_any_other_and_decides_nothing(reader):
    rating, waiting = decided(reader), rated()
    for _time in range(2):
        page = reader.page()
        assert reverse("decide", args=[rating.pk]) in page
        assert "2 ratings wait" in page
        assert "given this one before" not in page
    assert "Decided." in reader.client.get(reader.decide(rating, "rejected").url).content.decode()
    assert RepeatAnswer.objects.get().verdict == "rejected"
    assert [one.verdict for one in ReviewDecision.objects.all()] == ["approved"]
    assert Rating.objects.get(pk=rating.pk).verdict == "approved"
    assert "1 rating waits" in reader.page()
    assert reader.given() == waiting
    reader.decide(rating, "approved")
    assert "You have decided this one already." in reader.page()
    assert RepeatAnswer.objects.count() == 1


def test_of_the_lot_only_the_share_that_was_asked_for_comes_again(reader, settings):
    settings.REVIEW_REPEAT_SHARE = 0.25
    ratings = [decided(reader) for _number in range(4)]
    for rating, lot in zip(ratings, (0.1, 0.74, 0.76, 0.99), strict=True):
        Rating.objects.filter(pk=rating.pk).update(lot=lot)
    assert set(repeats.open_to(reader.user, now=timezone.now())) == set(ratings[2:])
    settings.REVIEW_REPEAT_SHARE = 0.0
    assert not repeats.open_to(reader.user, now=timezone.now()).exists()


@pytest.mark.parametrize("why", ["too early", "another reader's", "escalated", "withdrawn", "put aside", "all decided"])
def test_what_is_not_given_again(reader, why):
    rating = decided(
        Reader() if why == "another reader's" else reader,
        ago=repeats.REPEAT_AFTER - timedelta(minutes=1) if why == "too early" else repeats.REPEAT_AFTER,
    )
    if why == "escalated":
        Escalation.objects.create(event=rating.event)
    if why == "all decided":
        assert reader.given() is None
        return
    rated()
    if why == "withdrawn":
        rating.message.conversation.deleted_at = timezone.now()
        rating.message.conversation.save()
    if why == "put aside":
        assert given_again(reader) == rating
        reader.decide(rating, "skip")
    assert given_again(reader) is None


def test_escalating_it_puts_it_aside_and_leaves_the_verdict(reader):
    rating, _waiting = decided(reader), rated()
    assert given_again(reader) == rating
    reader.decide(rating, "escalate")
    assert not Escalation.objects.exists()
    assert given_again(reader) is None


def test_it_keeps_its_place_for_who_reads_for_long(reader):
    rating, _waiting, now = decided(reader), rated(), timezone.now()
    assert given_again(reader) == rating
    assert review.keep(rating_id=rating.pk, reviewer=reader.user, now=now + timedelta(minutes=9))
    assert ReviewLease.objects.get().until > now + timedelta(minutes=15)


def test_how_often_they_say_the_same_is_shown_to_who_adjudicates(reader):
    for again in ("approved", "approved", "rejected"):
        rating, waiting = decided(reader), rated()
        assert given_again(reader) == rating
        reader.decide(rating, again)
        reviewing.decide(rating_id=waiting.pk, reviewer=Reader().user, verdict="approved", now=timezone.now())
    (found,) = [one for one in reviewers(since=timezone.now() - timedelta(days=30)) if one.email == reader.user.email]
    assert (found.same, found.repeated) == (2, 3)
    table = reader.client.get(reverse("dashboard-csv", args=["reviewers"])).content.decode()
    head, *lines = [line.split(",") for line in table.splitlines()]
    (mine,) = [dict(zip(head, line, strict=True)) for line in lines if line[0] == reader.user.email]
    assert (mine["Said again"], mine["Given twice"]) == ("2", "3")
    assert reader.client.get(reverse("dashboard")).status_code == 200


def test_the_answer_stays_as_long_as_the_decision_and_goes_with_the_reply(reader):
    rating, _waiting = decided(reader), rated()
    given_again(reader)
    reader.decide(rating, "rejected")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        RepeatAnswer.objects.update(verdict="approved")
    with pytest.raises(DatabaseError, match="keeps its rows"):
        delete(RepeatAnswer.objects.all())
    delete(rating.message)
    assert not RepeatAnswer.objects.exists()
