"""A better answer made from another reply is used for as long as that reply may be, and leaves data sets with it."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from feedback import capture
from feedback.models import Rating, Release, ReviewDecision
from feedback.release import building, store, verify
from tests import factories, reviewing
from tests.integration.feedback.test_comparisons_in_releases import say_beneath
from tests.integration.feedback.test_erasure_in_releases import everything_in, released, worked_off
from tests.integration.feedback.test_release import frozen, rated

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
SECRET = "Marzipan, of almonds."


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


@pytest.fixture
def client(reviewer):
    client = Client()
    client.force_login(reviewer)
    return client


@pytest.fixture
def rating(reviewer):
    """One that waits, with another reply to its question that says SECRET; others are approved."""
    for number in range(3):
        rated(factories.conversation(factories.consenting_user(), ("Hi", f"Hello {number}.")), 1, reviewer)
    reply = factories.conversation(factories.consenting_user(), ("Name a sweet.", "I like none."))
    factories.reply_to(reply.parent, SECRET)
    return rated(reply, -1, reviewer, verdict="")


def sibling(rating):
    return rating.message.parent.children.exclude(pk=rating.message_id).get()


def approve(client, rating, **said):
    """As the review page sends it."""
    reviewing.give(rating_id=rating.pk, reviewer=User.objects.get(email="reviewer@example.org"), now=timezone.now())
    return client.post(
        reverse("decide", args=[rating.pk]), {"event_id": rating.event_id, "verdict": "approved", **said}, follow=True
    )


def sources(release):
    return {source for row in release.rows.all() for source in row.source_events}


def test_it_leaves_sealed_releases_when_the_other_reply_is_refused(client, rating, storage):
    other = sibling(rating)
    approve(client, rating, ideal_text=f"{SECRET} Yes.", ideal_from=other.pk)
    first = released()
    assert SECRET in everything_in(storage)
    assert other.pk in sources(first)
    say_beneath(other, "no")
    worked_off()
    second = Release.objects.get(parent=first)
    assert (second.state, verify.problems(second)) == ("sealed", [])
    assert SECRET not in everything_in(storage)
    # What is said of the rated reply itself stays.
    words = everything_in(store.location(second.folder))
    assert rating.message.content in words


def test_it_is_in_no_new_release_once_the_other_reply_is_refused(client, rating, storage):
    approve(client, rating, ideal_text=SECRET, ideal_from=sibling(rating).pk)
    say_beneath(sibling(rating), "no")
    release = released()
    assert SECRET not in everything_in(storage)
    assert release.counts["ratings used"] == 4


@pytest.mark.parametrize("stage", ["rows", "choice", "files", "seal"])
def test_it_leaves_a_release_that_is_being_made(client, rating, storage, stage):
    approve(client, rating, ideal_text=SECRET, ideal_from=sibling(rating).pk)
    release = frozen(test_share=0.0, validation_share=0.0)
    while not release.chunks.filter(stage=stage).exists():
        building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
    say_beneath(sibling(rating), "no")
    made = building.work_off(release.pk)
    assert (made.state, verify.problems(made)) == ("sealed", [])
    assert SECRET not in everything_in(storage)


def test_what_says_the_same_as_another_reply_is_known_to_come_from_it(client, rating):
    approve(client, rating, ideal_text=f" {SECRET}\n")
    decision = ReviewDecision.objects.get(event=rating.event)
    assert (decision.ideal_text, decision.ideal_from) == (SECRET, sibling(rating).pk)


def test_what_a_reviewer_wrote_comes_from_nowhere_and_a_changed_mind_forgets_it(client, rating):
    approve(client, rating, ideal_text=SECRET, ideal_from=sibling(rating).pk)
    rating.refresh_from_db()
    assert rating.ideal_from == sibling(rating).pk
    changed = capture.rate(
        user=rating.user, message=rating.message, value=1, client_event_id=rating.pk, now=timezone.now()
    )
    assert (changed.ideal_text, changed.ideal_from) == ("", None)
    approve(client, changed, ideal_text="Nougat.")
    changed.refresh_from_db()
    assert (changed.ideal_text, changed.ideal_from) == ("Nougat.", None)


@pytest.mark.parametrize("which", ["of another chat", "refused", "the rated one"])
def test_only_a_reply_to_the_same_question_that_may_be_used_can_be_named(client, rating, which):
    named = sibling(rating)
    if which == "of another chat":
        named = factories.conversation(rating.user, ("Name a sweet.", SECRET))
    if which == "the rated one":
        named = rating.message
    if which == "refused":
        say_beneath(named, "no")
    page = approve(client, rating, ideal_text="Something else.", ideal_from=named.pk).content.decode()
    assert "may not be used any more" in page
    assert Rating.objects.get(pk=rating.pk).decided_event is None
