"""Whoever takes back a rating, a choice or a correction takes back what data sets were made of it."""

import threading
import uuid

import pytest
from django.db import connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from feedback import comparing
from feedback.models import Comparison, Correction, Erasure, Release, ReleaseRow
from feedback.release import building, verify
from tests import factories
from tests.integration.feedback.test_better_answers_in_releases import approve
from tests.integration.feedback.test_comparisons_in_releases import LOOKED, corrected, rows, shown
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


@pytest.fixture
def comparison(reviewer):
    left = factories.conversation(somebody_among_others(reviewer), ("Name a sweet.", f"{SECRET}, of almonds."))
    return shown(left, factories.reply_to(left.parent, "Sugar, by the sea."))


def choose(comparison, choice):
    return comparing.answer(
        comparison_id=comparison.pk, user=comparison.user, choice=choice, exposure=LOOKED, now=timezone.now()
    )


def take_choice_back(comparison, way):
    if way == "page":
        by_the_page(comparison.left, "take-choice-back", comparison.pk)
    else:
        by_the_page(comparison.left, "answer-comparison", comparison.pk, choice="skipped")


@pytest.mark.parametrize("way", ["page", "skipping"])
def test_a_choice_that_is_taken_back_leaves_sealed_releases(comparison, storage, way):
    choose(comparison, "left")
    released()
    assert SECRET in everything_in(storage)
    take_choice_back(comparison, way)
    assert SECRET not in taken_back(storage)
    again = released(test_share=0.5)
    assert "comparisons used" not in again.counts
    assert SECRET not in everything_in(storage)


@pytest.mark.parametrize("stage", STAGES)
def test_a_release_that_is_being_made_goes_on_without_a_choice_that_is_taken_back(comparison, storage, stage):
    choose(comparison, "left")
    release = at(stage)
    take_choice_back(comparison, "page")
    made = building.work_off(release.pk)
    assert (made.state, verify.problems(made)) == ("sealed", [])
    words = everything_in(storage)
    assert SECRET not in words
    assert "Hello 0." in words


def votes(release):
    return [(row["winner"], row["id"]) for row in rows(release, "comparisons")]


def test_a_changed_choice_is_another_source_and_takes_the_place_of_the_one_before(comparison):
    first = choose(comparison, "left").event
    before = released()
    again = released()
    assert (again, votes(again)) == (before, votes(before)), "the same choices are the same release"
    second = choose(comparison, "right").event
    after = released()
    assert after.pk != before.pk
    assert [winner for winner, _id in votes(after)] == ["model_b"]
    assert not {row_id for _winner, row_id in votes(before)} & {row_id for _winner, row_id in votes(after)}
    of = {release: set(release.members.filter(kind="comparison").values_list("event_id", flat=True))
          for release in (before, after)}  # fmt: skip
    assert of == {before: {first.pk}, after: {second.pk}}
    following = released(after_version=before.version)
    assert [winner for winner, _id in votes(following)] == ["model_b"]
    # As with a rating that was changed: what was sealed stays, until it is taken back.
    assert not Erasure.objects.exists()
    take_choice_back(comparison, "page")
    worked_off()
    assert not Release.objects.filter(state="sealed", pk__in=[before.pk, after.pk]).exists()
    assert not any(ReleaseRow.objects.filter(source_events__contains=[event.pk]).exists() for event in (first, second))


def test_a_release_holds_what_was_chosen_when_it_was_frozen(comparison):
    choose(comparison, "left")
    release = at("rows")
    choose(comparison, "right")
    assert [winner for winner, _id in votes(building.work_off(release.pk))] == ["model_a"]


@pytest.mark.django_db(transaction=True)
def test_a_choice_that_is_changed_in_an_unfinished_transaction_waits_for_the_next_release(alone, comparison):
    """It began before the release and is committed after it: the one before is of this release, it of the next."""
    first = choose(comparison, "left").event
    began, may_end = threading.Event(), threading.Event()

    def change():
        with transaction.atomic():
            choose(comparison, "right")
            began.set()
            may_end.wait(20)
        connections.close_all()

    writer = threading.Thread(target=change)
    writer.start()
    began.wait(20)
    other = factories.conversation(comparison.user, ("Name a tree.", "Oak."))
    late = choose(shown(other, factories.reply_to(other.parent, "Elm.")), "tie").event
    before = frozen()
    may_end.set()
    writer.join(20)
    after = frozen(after_version=building.work_off(before.pk).version)
    second = Comparison.objects.get(pk=comparison.pk).event
    found = [
        set(release.members.filter(kind="comparison").values_list("event_id", flat=True)) for release in (before, after)
    ]
    assert found == [{first.pk}, {second.pk, late.pk}]
