"""A better answer to what nobody preferred is a demonstration, and where both were called bad better than either."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import consent, erasure
from chat import retention
from feedback import comparing, releasing
from feedback.models import BetterAnswer, Release, ReleaseRow
from feedback.release import building, verify
from feedback.release.freezing import NothingToRelease
from feedback.release.specification import Specification
from tests.integration.feedback.test_better_answers import written
from tests.integration.feedback.test_comparisons_in_releases import compared, rows
from tests.integration.feedback.test_erasure_in_releases import everything_in, worked_off
from tests.integration.feedback.test_release import frozen, sealed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
UNSPLIT = {"test_share": 0.0, "validation_share": 0.0, "near_duplicates": "keep"}
GREEN = "Green, like a meadow."


def answers(release):
    """(chosen, rejected) of the pairs of the rule, and the demonstrations."""
    if release.counts.get("rows: preference") is None:
        pairs = []
    else:
        found = [row for row in rows(release, "preference") if row["metadata"]["rule"] == "better_answer"]
        pairs = sorted((row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in found)
    if release.counts.get("rows: sft") is None:
        return pairs, []
    found = [row for row in rows(release, "sft") if row["metadata"]["rule"] == "better_answer"]
    return pairs, [row["completion"][0]["content"] for row in found]


def test_an_answer_to_two_bad_replies_is_better_than_each_and_a_demonstration():
    answer = written(compared("neither"))
    release = sealed(**UNSPLIT)
    assert verify.problems(release) == []
    assert answers(release) == ([(GREEN, "Blue, like the sea."), (GREEN, "Red, like a rose.")], [GREEN])
    about = rows(release, "preference")[0]["metadata"]
    assert (about["confidence"], about["n_reviews"]) == (pytest.approx(0.9), 1)
    assert (release.counts["answers"], release.counts["answers used"]) == (1, 1)
    assert set(release.rows.get(config="sft").source_events) == {answer.pk, answer.comparison.event_id}
    assert frozen(**UNSPLIT) == release


def test_an_answer_to_two_that_are_alike_is_a_demonstration_alone():
    written(compared("tie"))
    assert answers(sealed(**UNSPLIT)) == ([], [GREEN])


def test_what_the_person_did_not_look_at_makes_no_pair():
    written(compared("neither", exposure={"left_ms": 4_000, "right_ms": 40}))
    assert answers(sealed(**UNSPLIT)) == ([], [GREEN])


def test_what_one_model_was_told_otherwise_makes_no_row():
    written(compared("neither", right={"system_prompt": "Be rude."}))
    compared("left")
    assert answers(sealed(**UNSPLIT)) == ([], [])


def test_an_answer_written_after_a_release_is_in_the_one_that_follows_it():
    first, _later = compared("neither"), compared("left")
    release = sealed(**UNSPLIT)
    assert answers(release) == ([], [])
    written(first)
    following = sealed(**UNSPLIT, after_version=release.version)
    assert answers(following)[1] == [GREEN]
    assert following.counts["answers used"] == 1
    assert "rows: comparisons" not in following.counts


@pytest.mark.parametrize("choice", ["left", "tie"])
def test_once_the_person_says_otherwise_the_answer_is_used_no_more(storage, choice):
    comparison = compared("neither")
    written(comparison)
    release = sealed(**UNSPLIT)
    comparing.answer(comparison_id=comparison.pk, user=comparison.user, choice=choice, now=timezone.now())
    assert answers(sealed(**UNSPLIT)) == ([], [])
    worked_off()
    assert answers(Release.objects.get(parent=release)) == ([], [])
    assert GREEN not in everything_in(storage)


@pytest.mark.parametrize("stage", ["rows", "choice", "files", "sealed"])
@pytest.mark.parametrize("door", ["account", "conversation", "left", "comparison", "erased", "left us"])
def test_who_takes_back_the_comparison_takes_back_the_answer(storage, door, stage):
    comparison = compared("neither")
    compared("left")
    written(comparison)
    user, conversation = comparison.user, comparison.question.conversation
    release = frozen(**UNSPLIT)
    while release.is_unfinished and not release.chunks.filter(stage=stage).exists():
        building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
        release.refresh_from_db()
    if door == "erased":
        conversation.deleted_at = timezone.now() - timedelta(days=31)
        conversation.save()
        retention.sweep(now=timezone.now())
    elif door == "left us":
        erasure.erase(user.pk, now=timezone.now())
    else:
        subjects = {
            "account": ("account", None),
            "conversation": ("conversation", conversation.pk),
            "left": ("rating", comparison.left_id),
            "comparison": ("rating", comparison.pk),
        }
        scope, subject_id = subjects[door]
        consent.withdraw(user, scope=scope, subject_id=subject_id, now=timezone.now())
    building.work_off(release.pk)
    worked_off()
    made = Release.objects.get(state="sealed")
    assert verify.problems(made) == []
    assert answers(made) == ([], [])
    assert GREEN not in everything_in(storage)
    assert not ReleaseRow.objects.filter(config="sft").exists()
    assert BetterAnswer.objects.exists() == (door not in ("erased", "left us"))


def test_a_refused_comparison_gives_no_answer_away():
    comparison = compared("neither")
    written(comparison)
    consent.withdraw(comparison.user, scope="rating", subject_id=comparison.left_id, now=timezone.now())
    with pytest.raises(NothingToRelease) as nothing:
        releasing.make_release(specification=Specification(), made_by=None, now=timezone.now())
    assert "answers" not in nothing.value.funnel
