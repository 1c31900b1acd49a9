"""What one person liked and another did not, to the same prompt, is a pair; either of them takes it back."""

import hashlib
import uuid

import pytest
from django.utils import timezone

from accounts import consent, erasure
from accounts.models import User
from feedback import capture
from feedback.models import Erasure, RatedPrompt, Release, ReleaseRow
from feedback.release import building, freezing, verify
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import rows
from tests.integration.feedback.test_erasure_in_releases import everything_in, worked_off
from tests.integration.feedback.test_release import frozen, rated, sealed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
UNSPLIT = {"test_share": 0.0, "validation_share": 0.0, "near_duplicates": "keep"}
LIKED, DISLIKED = "Nougat, of course.", "I like none of them."


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Each conversation in a batch of its own, so that no two people are in one."""
    monkeypatch.setattr(freezing, "CONVERSATIONS_PER_BATCH", 1)


def said(reviewer, value, answer, *, user=None, question="Name a sweet.", before=("Hi.", "Hello."), **receipt):
    user = user or factories.consenting_user()
    first = factories.conversation(user, before, (question, "Later."))
    reply = factories.reply_to(first.parent, answer, **receipt)
    rated(reply, value, reviewer)
    return reply


def pairs(release):
    if "rows: preference" not in release.counts:
        return []
    found = [row for row in rows(release, "preference") if row["metadata"]["rule"] == "up_vs_down"]
    assert {round(row["metadata"]["confidence"], 2) for row in found} <= {0.7}
    return sorted((row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in found)


def test_two_people_who_differ_make_a_pair(reviewer):
    up, down = said(reviewer, 1, LIKED), said(reviewer, -1, DISLIKED)
    release = sealed(**UNSPLIT)
    assert verify.problems(release) == []
    assert pairs(release) == [(LIKED, DISLIKED)]
    row = release.rows.get(config="preference")
    assert (row.user, row.other_user) == (up.conversation.user, down.conversation.user)
    assert len(row.source_events) == 2
    assert rows(release, "preference")[0]["metadata"]["n_reviews"] == 2
    assert not RatedPrompt.objects.exists()
    assert frozen(**UNSPLIT) == release


@pytest.mark.parametrize(
    ("other", "count"),
    [
        ({"question": "name  a SWEET."}, 1),  # as exact duplicates are the same
        ({"question": "Name a sweet, please."}, 0),
        ({"before": ("Hi.", "Hello!")}, 0),
        ({"system_prompt": "Be brief."}, 0),
        ({"prompt_turns": 1}, 0),  # of a long conversation no more had fitted
    ],
    ids=str,
)
def test_it_is_honest_only_where_the_model_was_told_the_same(reviewer, other, count):
    said(reviewer, 1, LIKED)
    said(reviewer, -1, DISLIKED, **other)
    assert len(pairs(sealed(**UNSPLIT))) == count


def test_the_same_words_are_no_pair_and_neither_is_what_two_like(reviewer):
    said(reviewer, 1, LIKED)
    said(reviewer, -1, LIKED)
    said(reviewer, 1, "Fudge.", question="Name another sweet.")
    said(reviewer, 1, "Marzipan.", question="Name another sweet.")
    assert pairs(sealed(**UNSPLIT)) == []


def test_a_rating_is_in_one_such_pair_at_most_and_who_rated_both_ways_in_none(reviewer):
    for number in range(3):
        said(reviewer, 1, f"I like this one: {number}.")
    for number in range(2):
        said(reviewer, -1, f"I like none: {number}.")
    both = factories.consenting_user()
    mine = said(reviewer, 1, "Mine.", user=both)
    rated(factories.reply_to(mine.parent, "Not mine."), -1, reviewer)
    assert pairs(sealed(**UNSPLIT)) == [
        ("I like this one: 0.", "I like none: 0."),
        ("I like this one: 1.", "I like none: 1."),
        ("Mine.", "Not mine."),
    ]


@pytest.mark.parametrize("value", [1, -1])
def test_nobody_is_in_more_of_them_than_one_person_may_give_rows_on_whichever_side(reviewer, value):
    many = factories.consenting_user()
    for number in range(4):
        said(reviewer, value, f"The same person's: {number}.", user=many, question=f"Name sweet {number}.")
        said(reviewer, -value, f"Another's: {number}.", question=f"Name sweet {number}.")
    assert len(pairs(sealed(**UNSPLIT))) == 4
    assert len(pairs(sealed(**UNSPLIT, person_rows=3, person_share=0.0))) == 3


def test_what_was_not_reviewed_or_allowed_is_in_no_pair(reviewer):
    said(reviewer, 1, LIKED)
    refused = said(reviewer, -1, DISLIKED)
    consent.withdraw(refused.conversation.user, now=timezone.now())
    alone = factories.conversation(factories.consenting_user(), ("Hi.", "Hello."), ("Name a sweet.", "Unread."))
    user = alone.conversation.user
    capture.rate(user=user, message=alone, value=-1, client_event_id=uuid.uuid4(), now=timezone.now())
    assert pairs(sealed(**UNSPLIT)) == []


def test_batches_change_nothing_and_a_step_done_twice_neither(reviewer, monkeypatch):
    for number in range(8):
        said(reviewer, 1, f"{LIKED} {number}", question=f"Name sweet {number // 2}.")
        said(reviewer, -1, f"{DISLIKED} {number}", question=f"Name sweet {number // 2}.")
    monkeypatch.setattr(building.across_people, "BATCHES_IN_PART", 1)
    one = sealed(**UNSPLIT)
    assert one.chunks.filter(stage="pairs").count() == 16
    monkeypatch.setattr(freezing, "CONVERSATIONS_PER_BATCH", 500)
    Release.objects.update(specification_sha256="")  # or the same would be found again
    release = frozen(**UNSPLIT)
    while not release.chunks.filter(stage="choice").exists():
        chunk = building._claim(release.pk, now=timezone.now())
        step = building.Step(chunk, release, building.specification(release.specification), lambda: None)
        building._STEPS[building.Stage(chunk.stage)](step)()
        chunk.lease_until = None
        chunk.save()
        assert building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
    other = building.work_off(release.pk)
    assert other.chunks.filter(stage="pairs").count() == 1
    assert len(pairs(one)) == 8
    # What follows what in a file is told by batches.
    assert set(one.rows.values_list("config", "row_id")) == set(other.rows.values_list("config", "row_id"))


def split_of(user, **shares):
    draw = int(hashlib.sha256(str(user.pk).encode()).hexdigest()[:8], 16) / 2**32
    return "test" if draw < shares["test_share"] else "train"


def test_people_of_two_splits_make_no_pair_and_all_of_theirs_stays_in_one(reviewer):
    half = {**UNSPLIT, "test_share": 0.5}
    for number in range(12):
        said(reviewer, 1, f"{LIKED} {number}", question=f"Name sweet {number}.")
        said(reviewer, -1, f"{DISLIKED} {number}", question=f"Name sweet {number}.")
    together = 0
    release = sealed(**half)
    for row in release.rows.exclude(other_user=None):
        assert split_of(row.user, **half) == split_of(row.other_user, **half) == row.split
        together += 1
    apart = release.counts["dropped: people of two splits"]
    assert (together + apart, together > 0, apart > 0) == (12, True, True)
    for row in ReleaseRow.objects.filter(release=release):
        assert row.split == split_of(row.user, **half)


def take_back(reply, door):
    user, now = reply.conversation.user, timezone.now()
    if door == "left us":
        erasure.erase(user.pk, now=now)
    elif door == "rating":
        capture.withdraw(user=user, message=reply, client_event_id=uuid.uuid4(), now=now)
    else:
        subjects = {
            "account": ("account", None),
            "conversation": ("conversation", reply.conversation_id),
            "reply": ("rating", reply.pk),
        }
        scope, subject_id = subjects[door]
        consent.withdraw(user, scope=scope, subject_id=subject_id, now=now)


@pytest.mark.parametrize("who", ["liked", "disliked"])
@pytest.mark.parametrize("door", ["account", "conversation", "reply", "rating", "left us"])
@pytest.mark.parametrize("stage", ["rows", "pairs", "choice", "files", "sealed"])
def test_either_of_the_two_takes_the_pair_back(reviewer, storage, who, door, stage):
    up, down = said(reviewer, 1, LIKED), said(reviewer, -1, DISLIKED)
    release = frozen(**UNSPLIT)
    while release.is_unfinished and not release.chunks.filter(stage=stage).exists():
        building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
        release.refresh_from_db()
    take_back(up if who == "liked" else down, door)
    building.work_off(release.pk)
    worked_off()
    made = Release.objects.get(state="sealed")
    assert verify.problems(made) == []
    assert pairs(made) == []
    words = everything_in(storage)
    assert (LIKED in words, DISLIKED in words) == (who == "disliked", who == "liked")
    assert not Erasure.objects.filter(finished_at=None).exists()
    assert not ReleaseRow.objects.filter(config="preference").exists()


@pytest.mark.parametrize("who", ["liked", "disliked"])
def test_what_either_says_of_something_else_leaves_the_pair_alone(reviewer, who):
    up, down = said(reviewer, 1, LIKED), said(reviewer, -1, DISLIKED)
    user = (up if who == "liked" else down).conversation.user
    other = said(reviewer, 1, "Oak.", user=user, question="Name a tree.")
    release = sealed(**UNSPLIT)
    consent.withdraw(user, scope="rating", subject_id=other.pk, now=timezone.now())
    worked_off()
    successor = Release.objects.get(parent=release)
    assert pairs(successor) == [(LIKED, DISLIKED)]


def test_a_release_without_pairs_looks_for_none(reviewer):
    said(reviewer, 1, LIKED)
    said(reviewer, -1, DISLIKED)
    assert "rows: preference" not in sealed(**UNSPLIT, configs=("unpaired",)).counts
