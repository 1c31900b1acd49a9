"""A reply that was written again, and the next one rated up: a pair, but only where that says something."""

import uuid
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from accounts import consent
from accounts.models import User
from chat.models import Message, Reply
from feedback import capture, comparing, exposing, signals
from feedback.models import Comparison, Erasure, Exposure, ImplicitSignal, Release
from feedback.release import building, store, verify
from tests import factories
from tests.integration.feedback.test_erasure_in_releases import everything_in, worked_off
from tests.integration.feedback.test_release import frozen, rated, sealed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
UNSPLIT = {"test_share": 0.0, "validation_share": 0.0}


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


@pytest.fixture
def person(reviewer):
    """Somebody with another rating too, so that a release without the pair is one all the same."""
    user = factories.consenting_user()
    rated(factories.conversation(user, ("Name a nut.", "Hazel.")), 1, reviewer)
    return user


def seen(reply, visible_ms=10_000, *, is_whole=True, at):
    """Its person's browser tells of so long a look."""
    one = exposing.Seen(client_event_id=uuid.uuid4(), reply=reply.pk, visible_ms=visible_ms, is_whole=is_whole)
    exposing.keep(user=reply.conversation.user, seen=[one], now=at)


def written_again(user, reviewer, *, stood=timedelta(seconds=10), looks=((10_000, True, 0),), **receipt):
    """Marzipan was written again as Nougat, which was rated up; returns both.

    `looks` are the times it was in view, whether it was shown whole by then, and how much later that was told.
    """
    earlier = factories.conversation(user, ("Name a sweet.", "Marzipan, I think."))
    Reply.objects.filter(pk=earlier.pk).update(**receipt)
    later = factories.reply_to(earlier.parent, "Nougat, of course.")
    earlier.refresh_from_db()
    now = earlier.reply.finished_at + stood
    signals.keep(user=user, message=earlier, kind="regenerated", cause=later.pk, now=now)
    for visible_ms, is_whole, late in looks:
        seen(earlier, visible_ms, is_whole=is_whole, at=now + timedelta(seconds=late))
    rated(later, 1, reviewer)
    return earlier, later


def pairs(release):
    """(chosen, rejected) of the rule."""
    found = []
    for path in store.paths(release.folder):
        if path.startswith("preference/"):
            with store.reading(f"{release.folder}/{path}") as file:
                found += pq.read_table(file).to_pylist()
    return [
        (row["chosen"][0]["content"], row["rejected"][0]["content"])
        for row in found
        if row["metadata"]["rule"] == "regen_then_up"
    ]


def test_a_pair_is_made_of_what_was_written_again_and_then_rated_up(person, reviewer):
    written_again(person, reviewer)
    release = sealed(**UNSPLIT)
    assert pairs(release) == [("Nougat, of course.", "Marzipan, I think.")]
    assert (release.counts["signals"], release.counts["signals used"]) == (1, 1)
    row = release.rows.get(config="preference")
    assert set(ImplicitSignal.objects.values_list("pk", flat=True)) < set(row.source_events)
    assert frozen(**UNSPLIT) == release


@pytest.mark.parametrize(
    "receipt",
    [
        {"state": "failed"},
        {"state": "stopped"},
        {"finish_reason": "length"},
        {"finish_reason": "clarification"},
        {"system_prompt": "Be brief."},
        {"stood": timedelta(seconds=1)},
    ],
    ids=str,
)
def test_what_was_not_seen_whole_or_told_the_same_makes_no_pair(person, reviewer, receipt):
    written_again(person, reviewer, **receipt)
    assert pairs(sealed(**UNSPLIT)) == []


@pytest.mark.parametrize(
    "looks",
    [
        (),
        ((2_900, True, 0),),
        ((10_000, False, 0),),
        ((10_000, True, 60),),
        ((2_000, True, 0), (2_000, True, 60)),
    ],
    ids=["no exposure", "too short", "not whole", "after it was asked for anew", "long enough only afterwards"],
)
def test_what_was_not_on_screen_whole_for_long_enough_makes_no_pair(person, reviewer, looks):
    written_again(person, reviewer, looks=looks)
    release = sealed(**UNSPLIT)
    assert pairs(release) == []
    assert (release.counts["signals"], release.counts["left out: not seen whole"]) == (1, 1)


def test_several_looks_make_one_and_the_last_may_come_as_the_page_goes(person, reviewer):
    written_again(person, reviewer, looks=((1_600, False, -5), (1_500, True, 5)))
    assert len(pairs(sealed(**UNSPLIT))) == 1


@pytest.mark.parametrize(("choice", "count"), [("left", 0), ("right", 0), ("neither", 0), ("skipped", 1)])
def test_what_was_compared_stands_for_what_was_said_of_it_there(person, reviewer, choice, count):
    earlier, _later = written_again(person, reviewer)
    beside = factories.reply_to(earlier.parent, "Fudge.")
    two = Comparison.objects.create(user=person, question=earlier.parent, left=earlier, right=beside)
    comparing.answer(comparison_id=two.pk, user=person, choice=choice, now=timezone.now())
    assert len(pairs(sealed(**UNSPLIT))) == count


def test_what_somebody_else_saw_does_not_count(person, reviewer):
    earlier, _later = written_again(person, reviewer, looks=())
    other = factories.consenting_user()
    Exposure.objects.create(
        user=other, message=earlier, client_event_id=uuid.uuid4(), visible_ms=10_000, is_whole=True,
        created_at=earlier.created_at,
    )  # fmt: skip
    assert pairs(sealed(**UNSPLIT)) == []


def test_a_look_that_is_told_while_a_release_is_made_changes_nothing_in_it(person, reviewer):
    earlier, _later = written_again(person, reviewer, looks=())
    first = frozen(**UNSPLIT)
    seen(earlier, at=timezone.now() + timedelta(seconds=10))
    made = building.work_off(first.pk)
    assert pairs(made) == []
    again = sealed(**UNSPLIT)
    assert again != made
    assert len(pairs(again)) == 1


@pytest.mark.parametrize("kind", ["copied", "shared", "continued"])
def test_what_somebody_did_use_makes_no_pair(person, reviewer, kind):
    earlier, _later = written_again(person, reviewer)
    signals.keep(user=person, message=earlier, kind=kind, cause=uuid.uuid4(), now=timezone.now())
    assert pairs(sealed(**UNSPLIT)) == []


@pytest.mark.parametrize("value", [1, -1])
def test_what_was_rated_speaks_for_itself(person, reviewer, value):
    earlier, _later = written_again(person, reviewer)
    capture.rate(user=person, message=earlier, value=value, client_event_id=uuid.uuid4(), now=timezone.now())
    assert pairs(sealed(**UNSPLIT)) == []


def test_only_the_very_next_reply_counts_and_only_rated_up(person, reviewer):
    earlier = factories.conversation(person, ("Name a sweet.", "Marzipan, I think."))
    later = factories.reply_to(earlier.parent, "Nougat, of course.")
    last = factories.reply_to(earlier.parent, "Turkish delight.")
    now = timezone.now() + timedelta(seconds=10)
    signals.keep(user=person, message=earlier, kind="regenerated", cause=later.pk, now=now)
    seen(earlier, at=now)
    rated(later, -1, reviewer)
    rated(last, 1, reviewer)
    assert pairs(sealed(**UNSPLIT)) == []


@pytest.mark.parametrize("scope", ["account", "conversation", "rating"])
@pytest.mark.parametrize("stage", ["rows", "files", "sealed"])
def test_who_takes_back_the_earlier_reply_takes_back_the_pair(person, reviewer, storage, scope, stage):
    other = factories.consenting_user()
    rated(factories.conversation(other, ("Name a tree.", "Oak.")), 1, reviewer)
    earlier, _later = written_again(person, reviewer)
    subjects = {"account": None, "conversation": earlier.conversation_id, "rating": earlier.pk}
    release = frozen(**UNSPLIT)
    while release.is_unfinished and not release.chunks.filter(stage=stage).exists():
        building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
        release.refresh_from_db()
    consent.withdraw(person, scope=scope, subject_id=subjects[scope], now=timezone.now())
    building.work_off(release.pk)
    worked_off()
    made = Release.objects.get(state="sealed")
    assert verify.problems(made) == []
    assert pairs(made) == []
    assert "Marzipan" not in everything_in(storage)
    assert ("Nougat" in everything_in(storage)) == (scope == "rating")
    assert not Erasure.objects.filter(finished_at=None).exists()


def test_without_consent_for_the_earlier_reply_there_is_no_pair(person, reviewer):
    earlier, _later = written_again(person, reviewer)
    consent.withdraw(person, scope="rating", subject_id=earlier.pk, now=timezone.now())
    release = sealed(**UNSPLIT)
    assert pairs(release) == []
    assert "signals" not in release.counts
    assert Message.objects.filter(pk=earlier.pk).exists()
