"""Reviewing: one reader at a time, decisions that stay, and nobody who may not."""

import json
import uuid
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import consent
from accounts.models import User, WebhookDelivery
from accounts.webhooks import endpoints
from chat.models import Reply
from config import roles
from feedback import capture, review
from feedback.leasing import LEASE, NotGiven
from feedback.models import Escalation, FeedbackEvent, Rating, Release, ReviewDecision
from tests import factories, reviewing
from tests.reviewing import reader as reviewer

pytestmark = pytest.mark.django_db


@pytest.fixture
def rating():
    reply = factories.conversation(factories.consenting_user(), ("What is 2 + 2?", "Five."))
    return capture.rate(
        user=reply.conversation.user, message=reply, value=-1, client_event_id=uuid.uuid4(), now=timezone.now()
    )


def test_a_rating_is_read_by_one_reviewer_at_a_time(rating):
    now, first, second = timezone.now(), reviewer(), reviewer()
    assert review.next_rating(reviewer=first, now=now) == rating
    assert review.next_rating(reviewer=first, now=now) == rating
    assert review.next_rating(reviewer=second, now=now) is None
    assert review.next_rating(reviewer=second, now=now + timedelta(minutes=11)) == rating


def test_nobody_reviews_their_own_rating(rating):
    assert review.next_rating(reviewer=rating.user, now=timezone.now()) is None
    with pytest.raises(review.BadDecision):
        reviewing.decide(rating_id=rating.pk, reviewer=rating.user, verdict="approved", now=timezone.now())


@pytest.mark.parametrize("verdict", ["approved", "rejected", "escalate"])
def test_nobody_decides_what_they_were_not_given(rating, client, verdict):
    reader = reviewer()
    client.force_login(reader)
    posted = {"verdict": verdict, "event_id": rating.event_id}
    assert client.post(reverse("decide", args=[rating.pk]), posted).status_code == 404
    assert not ReviewDecision.objects.exists()
    assert not Escalation.objects.exists()
    assert reverse("decide", args=[rating.pk]) in client.get(reverse("review")).content.decode()
    page = client.post(reverse("decide", args=[rating.pk]), posted, follow=True).content.decode()
    assert "not given" not in page
    assert ReviewDecision.objects.exists() or Escalation.objects.exists()
    if verdict != "escalate":
        page = client.post(reverse("decide", args=[rating.pk]), posted, follow=True).content.decode()
        assert "You have decided this one already." in page


def test_a_reader_who_chooses_anew_is_told_why_the_same_rating_is_there(rating, client, settings):
    settings.REVIEW_RANDOM_SHARE = settings.REVIEW_GOLD_SHARE = 0
    client.force_login(reviewer())
    before = "You were given this one before."
    pages = [
        client.get(reverse("review"), {"order": order}).content.decode() for order in ("oldest", "oldest", "newest")
    ]
    assert [before in page for page in pages] == [False, False, True]
    assert before in client.get(reverse("review"), {"reason": "too_long"}).content.decode()


def test_who_writes_for_long_keeps_their_place(rating, client):
    now, writer, other = timezone.now(), reviewer(), reviewer()
    client.force_login(writer)
    client.get(reverse("review"))
    assert client.post(reverse("keep-rating", args=[rating.pk])).status_code == 204
    later = now
    for _minute in range(15):
        later += timedelta(minutes=1)
        assert review.keep(rating_id=rating.pk, reviewer=writer, now=later)
    assert review.next_rating(reviewer=other, now=later) is None
    # Nobody keeps what they were not given, nor what another has by now.
    with pytest.raises(NotGiven):
        review.keep(rating_id=rating.pk, reviewer=other, now=later)
    later += LEASE + timedelta(minutes=1)
    assert review.next_rating(reviewer=other, now=later) == rating
    assert not review.keep(rating_id=rating.pk, reviewer=writer, now=later)
    capture.withdraw(user=rating.user, message=rating.message, client_event_id=uuid.uuid4(), now=later)
    assert client.post(reverse("keep-rating", args=[rating.pk])).status_code == 409


def test_who_was_too_slow_may_decide_while_there_is_a_place(rating):
    now, slow, other = timezone.now(), reviewer(), reviewer()
    later = now + LEASE + timedelta(minutes=1)
    assert review.next_rating(reviewer=slow, now=now) == rating
    assert review.next_rating(reviewer=other, now=later) == rating
    with pytest.raises(review.BadDecision, match="Another reviewer"):
        review.decide(rating_id=rating.pk, reviewer=slow, verdict="approved", now=later)
    review.skip(rating_id=rating.pk, reviewer=other, now=later)
    assert review.decide(rating_id=rating.pk, reviewer=slow, verdict="approved", now=later)


def test_a_decision_is_made_once_and_kept(rating):
    reader = reviewer()
    decision = reviewing.decide(
        rating_id=rating.pk, reviewer=reader, verdict="approved", ideal_text=" Four. ", now=timezone.now()
    )
    rating.refresh_from_db()
    assert (rating.verdict, rating.ideal_text) == ("approved", "Four.")
    with pytest.raises(review.BadDecision):
        reviewing.decide(rating_id=rating.pk, reviewer=reader, verdict="rejected", now=timezone.now())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        ReviewDecision.objects.filter(pk=decision.pk).update(verdict="rejected")


def test_the_persons_program_hears_that_it_was_reviewed_and_not_how(rating):
    now = timezone.now()
    endpoints.create(user=rating.user, url="https://example.org/", events=["rating.reviewed"], now=now)
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer(), verdict="rejected", now=now)
    told = json.loads(WebhookDelivery.objects.get().body)
    assert told["type"] == "rating.reviewed"
    assert told["data"] == {"rating": str(rating.pk), "message": str(rating.message_id)}


def test_a_changed_opinion_is_reviewed_anew(rating):
    reader = reviewer()
    reviewing.decide(rating_id=rating.pk, reviewer=reader, verdict="approved", now=timezone.now())
    capture.rate(user=rating.user, message=rating.message, value=1, client_event_id=uuid.uuid4(), now=timezone.now())
    assert review.next_rating(reviewer=reader, now=timezone.now()).value == 1


def test_a_skipped_rating_is_free_for_another(rating):
    first, second, now = reviewer(), reviewer(), timezone.now()
    review.next_rating(reviewer=first, now=now)
    review.skip(rating_id=rating.pk, reviewer=first, now=now)
    assert review.next_rating(reviewer=second, now=now) == rating


def test_only_reviewers_see_the_pages_of_review(rating):
    client = Client()
    client.force_login(rating.user)
    assert client.get(reverse("review")).status_code == 403
    assert client.get(reverse("releases")).status_code == 403
    assert client.post(reverse("make-release")).status_code == 403
    client.force_login(reviewer())
    assert "Five." in client.get(reverse("review")).content.decode()


def test_what_the_model_was_told_before_is_in_view(rating, client):
    Reply.objects.filter(message=rating.message).update(system_prompt="Answer in <b>rhymes</b>.")
    client.force_login(reviewer())
    page = client.get(reverse("review")).content.decode()
    assert "What the model was told before" in page
    assert "Answer in &lt;b&gt;rhymes&lt;/b&gt;." in page


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ({"state": "stopped"}, "Stopped before its end by whoever asked."),
        ({"finish_reason": "length"}, "Cut off: the reply reached its longest length."),
    ],
)
def test_a_reply_that_has_no_end_says_why(rating, client, ending, said):
    client.force_login(reviewer())
    assert said not in client.get(reverse("review")).content.decode()
    Reply.objects.filter(message=rating.message).update(**ending)
    assert said in client.get(reverse("review")).content.decode()


def test_reading_ratings_and_taking_data_sets_are_two_rights(rating, client):
    """The role of each opens the pages and the places in the navigation of its own, and not the other's."""
    roles.ensure()
    opened = {"review": "reviewer", "dashboard": "reviewer", "releases": "engineer"}
    for role in ("reviewer", "engineer"):
        user = factories.UserFactory()
        user.groups.add(Group.objects.get(name=role))
        client.force_login(user)
        for name, whose in opened.items():
            assert client.get(reverse(name)).status_code == (200 if whose == role else 403), (role, name)
            assert (f'href="{reverse(name)}"' in client.get("/settings/").content.decode()) == (whose == role)
        assert client.post(reverse("make-release"), {"is_dry_run": "1"}).status_code == (
            302 if role == "engineer" else 403
        )


def test_who_took_releases_as_a_reviewer_still_may(client):
    roles.ensure()
    reading, making, taking, own, group = (factories.UserFactory() for _number in range(5))
    for one in (reading, making, taking):
        one.groups.add(Group.objects.get(name="reviewer"))
    may_review = Permission.objects.get(codename="review")
    own.user_permissions.add(may_review)
    group.groups.add(Group.objects.create(name="ours"))
    group.groups.get().permissions.add(may_review)
    made = Release.objects.create(version=1, state="cancelled", finished_at=timezone.now(), made_by=making)
    made.downloads.create(user=taking, path="README.md", at=timezone.now())
    migration = import_module("feedback.migrations.0026_making_releases_is_a_right")
    migration.keep_what_people_do(apps, None)
    may = [User.objects.get(pk=one.pk).has_perm("feedback.release") for one in (reading, making, taking, own, group)]
    assert may == [False, True, True, True, True]


def test_a_reviewer_decides_on_the_page(rating):
    client = Client()
    client.force_login(reviewer())
    client.get(reverse("review"))
    client.post(
        reverse("decide", args=[rating.pk]), {"verdict": "approved", "ideal_text": "Four.", "event_id": rating.event_id}
    )
    assert Rating.objects.get().verdict == "approved"
    assert "Nothing to review" in client.get(reverse("review")).content.decode()


def test_lines_of_a_better_answer_end_as_those_of_replies_do(rating, client):
    """Browsers end them in two characters: a model would learn to prefer these."""
    client.force_login(reviewer())
    client.get(reverse("review"))
    written = {"verdict": "approved", "ideal_text": "Four.\r\n\r\nSurely.", "event_id": rating.event_id}
    client.post(reverse("decide", args=[rating.pk]), written)
    assert ReviewDecision.objects.get().ideal_text == Rating.objects.get().ideal_text == "Four.\n\nSurely."


def test_decisions_outlive_the_live_rating(rating):
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer(), verdict="approved", now=timezone.now())
    capture.withdraw(user=rating.user, message=rating.message, client_event_id=uuid.uuid4(), now=timezone.now())
    assert not Rating.objects.exists()
    assert ReviewDecision.objects.get().event_id == rating.event_id


def test_history_cannot_be_deleted_while_the_reply_exists(rating):
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer(), verdict="approved", now=timezone.now())
    for history in (ReviewDecision.objects.all(), FeedbackEvent.objects.all()):
        with pytest.raises(DatabaseError, match="keeps its rows"):
            delete(Rating.objects.all(), history)


def delete(*querysets):
    with transaction.atomic():
        for queryset in querysets:
            queryset.delete()
        connection.check_constraints()


@pytest.mark.parametrize("erase", [lambda rating: rating.message, lambda rating: rating.user])
def test_history_goes_with_the_reply_or_the_person(rating, erase):
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer(), verdict="approved", now=timezone.now())
    delete(erase(rating))
    assert not FeedbackEvent.objects.exists()
    assert not ReviewDecision.objects.exists()


@pytest.mark.parametrize("scope", ["account", "conversation", "rating"])
def test_nobody_reads_on_when_consent_is_withdrawn(rating, scope):
    subjects = {"account": None, "conversation": rating.message.conversation_id, "rating": rating.message_id}
    reader = reviewer()
    assert review.next_rating(reviewer=reader, now=timezone.now()) == rating
    consent.withdraw(rating.user, now=timezone.now(), scope=scope, subject_id=subjects[scope])
    assert review.next_rating(reviewer=reader, now=timezone.now()) is None
    consent.grant(rating.user, now=timezone.now(), scope=scope, subject_id=subjects[scope])
    assert review.next_rating(reviewer=reader, now=timezone.now()) == rating


def test_what_was_never_consented_to_is_never_read():
    reply = factories.conversation(factories.UserFactory(), ("What is 2 + 2?", "Five."))
    capture.rate(
        user=reply.conversation.user, message=reply, value=-1, client_event_id=uuid.uuid4(), now=timezone.now()
    )
    assert review.next_rating(reviewer=reviewer(), now=timezone.now()) is None


def test_a_page_asks_for_its_ratings_once(rating, client):
    conversation = rating.message.conversation
    client.force_login(rating.user)
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse("conversation", args=[conversation.pk]))
    assert len([query for query in queries if 'FROM "feedback_rating"' in (query["sql"] or "")]) == 1
