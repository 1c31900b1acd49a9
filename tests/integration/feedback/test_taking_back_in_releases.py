"""Whoever takes back a rating or a correction takes back what data sets were made of it."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from feedback.models import Correction, Erasure, Release
from feedback.release import building, verify
from tests import factories
from tests.integration.feedback.test_better_answers_in_releases import approve
from tests.integration.feedback.test_comparisons_in_releases import corrected
from tests.integration.feedback.test_erasure_in_releases import (
    everything_in,
    released,
    somebody_among_others,
    worked_off,
)
from tests.integration.feedback.test_release import frozen, rated

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
SECRET = "Marzipan"
STAGES = ["rows", "choice", "files", "seal"]


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


@pytest.fixture
def reply(reviewer):
    """A reply that says SECRET, of somebody whose other replies are approved like those of others."""
    user = somebody_among_others(reviewer)
    return factories.conversation(user, ("Name a sweet.", f"{SECRET}, of almonds."))


@pytest.fixture
def plain_reply(reviewer, reply):
    """One that is silent of it."""
    return factories.conversation(reply.conversation.user, ("Name a sweet.", "Sugar, by the sea."))


def by_the_page(reply, name, *args, **said):
    client = Client()
    client.force_login(reply.conversation.user)
    answer = client.post(reverse(name, args=args), said)
    assert answer.status_code == 302


def take_rating_back(reply):
    by_the_page(reply, "rate", reply.pk, value=0, client_event_id=uuid.uuid4())


def take_correction_back(reply):
    by_the_page(reply, "withdraw-correction", Correction.objects.get(message=reply).pk)


def taken_back(storage):
    worked_off()
    erasure = Erasure.objects.get()
    assert (erasure.reason, erasure.finished_at is not None) == ("taken_back", True)
    assert verify.problems(Release.objects.get(state="sealed")) == []
    words = everything_in(storage)
    # What else the person said stays.
    assert "Hello 0." in words
    return words


def test_a_rating_that_is_taken_back_leaves_sealed_releases(reply, reviewer, storage):
    rated(reply, 1, reviewer)
    released()
    assert SECRET in everything_in(storage)
    take_rating_back(reply)
    assert SECRET not in taken_back(storage)


def test_a_correction_that_is_taken_back_leaves_sealed_releases(plain_reply, reviewer, storage):
    corrected(plain_reply, "Sugar", SECRET, reviewer)
    released()
    assert SECRET in everything_in(storage)
    take_correction_back(plain_reply)
    words = taken_back(storage)
    assert SECRET not in words
    # The rating stands.
    assert "Sugar, by the sea." in words


def test_a_better_answer_that_its_person_changed_leaves_sealed_releases(plain_reply, reviewer, storage):
    corrected(plain_reply, "", f"{SECRET} by the sea.", reviewer)
    released()
    assert SECRET in everything_in(storage)
    corrected(plain_reply, "", "Salt, by the sea.", reviewer, verdict="")
    assert SECRET not in taken_back(storage)


def test_so_does_the_better_answer_that_a_reviewer_made_from_it(plain_reply, reviewer, storage):
    correction = corrected(plain_reply, "Sugar", SECRET, reviewer, verdict="")
    client = Client()
    client.force_login(reviewer)
    approve(
        client, plain_reply.ratings.get(), ideal_text=f"{correction.corrected_reply} Yes.", ideal_from=correction.pk
    )
    released()
    take_correction_back(plain_reply)
    assert SECRET not in taken_back(storage)
    again = released(test_share=0.5)
    assert "ratings used" in again.counts
    assert SECRET not in everything_in(storage)


def at(stage):
    release = frozen(test_share=0.0, validation_share=0.0)
    while not release.chunks.filter(stage=stage).exists():
        building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
    return release


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("what", ["rating", "correction"])
def test_a_release_that_is_being_made_goes_on_without_what_is_taken_back(
    reply,
    plain_reply,
    reviewer,
    storage,
    what,
    stage,
):
    if what == "rating":
        rated(reply, 1, reviewer)
    else:
        corrected(plain_reply, "Sugar", SECRET, reviewer)
    release = at(stage)
    take_rating_back(reply) if what == "rating" else take_correction_back(plain_reply)
    made = building.work_off(release.pk)
    assert (made.state, verify.problems(made)) == ("sealed", [])
    words = everything_in(storage)
    assert SECRET not in words
    assert "Hello 0." in words
