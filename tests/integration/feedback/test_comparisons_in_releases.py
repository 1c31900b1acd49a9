"""What side-by-side choices, corrections and doubtful raters become in a release."""

import json
import uuid
from datetime import timedelta

import pytest
from datasets import load_dataset
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import consent
from accounts.models import User
from feedback import capture, comparing, correcting, releasing
from feedback.models import Comparison, Rating
from feedback.release import building, store, verify
from feedback.release.freezing import NothingToRelease
from feedback.release.specification import Specification
from tests import factories, reviewing
from tests.integration.feedback.test_release import frozen, sealed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
ALL_IN_TRAINING = {"test_share": 0.0, "validation_share": 0.0}
LOOKED = {"left_ms": 4_000, "right_ms": 3_000, "left_whole": True, "right_whole": True}


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


def shown(left, right):
    a_minute_ago = timezone.now() - timedelta(minutes=1)
    return Comparison.objects.create(
        user=left.conversation.user, question=left.parent, left=left, right=right, drawn_at=a_minute_ago
    )


def compared(choice, *, exposure=LOOKED, right={}, **more):  # noqa: B006 - read only
    left = factories.conversation(factories.consenting_user(), ("Name a colour.", "Red, like a rose."))
    other = factories.reply_to(left.parent, "Blue, like the sea.", **{"model_version": "other@test", **right})
    comparison = shown(left, other)
    return comparing.answer(
        comparison_id=comparison.pk,
        user=comparison.user,
        choice=choice,
        exposure=exposure,
        now=timezone.now(),
        **more,
    )


def rows(release, config):
    return [row for split in load_dataset(store.location(release.folder), config).values() for row in split]


def test_a_preferred_reply_is_a_vote_and_a_pair(storage):
    comparison = compared("right", strength=3, reasons=["clear"])
    release = sealed()
    assert verify.problems(release) == []
    (vote,) = rows(release, "comparisons")
    assert (vote["winner"], vote["model_a"], vote["model_b"], vote["turn"]) == (
        "model_b",
        "smollm2-135m-instruct@test",
        "other@test",
        1,
    )
    assert vote["conversation_a"] == [*vote["prompt"], {"role": "assistant", "content": "Red, like a rose."}]
    (pair,) = rows(release, "preference")
    assert pair["chosen"][0]["content"] == "Blue, like the sea."
    assert pair["rejected"][0]["content"] == "Red, like a rose."
    assert pair["margin"] == 1.0
    about = pair["metadata"]
    assert (about["rule"], about["confidence"], about["strength"], about["reasons"]) == ("pairwise", 1.0, 3, ["clear"])
    assert set(release.rows.values_list("source_events", flat=True).distinct()[0]) == {comparison.event_id}
    assert (release.counts["comparisons"], release.counts["comparisons used"]) == (1, 1)


def test_a_vote_tells_how_the_looks_of_the_two_differ():
    one = compared("tie")
    one.left.content = "# One\n\n- a\n- **b**\n* c\n\n```\n# no heading\n- no item\n```\n"
    one.right.content = "1. a\n\n__b__ and **c**, ###nothing\n\n```\n- left open"
    for side in (one.left, one.right):
        side.save()
    (vote,) = rows(sealed(), "comparisons")
    lengths = len(one.left.content), len(one.right.content)
    assert vote["style"] == pytest.approx(
        {"length": (lengths[0] - lengths[1]) / sum(lengths), "headings": 1.0, "list_items": 0.5, "bold": -1 / 3}
    )


def test_ties_are_votes_alone_and_both_bad_labels_both():
    compared("tie")
    compared("neither")
    compared("skipped")
    release = sealed(**ALL_IN_TRAINING)
    # Two people's votes about the same words are two, and skipping is none.
    assert sorted(row["winner"] for row in rows(release, "comparisons")) == ["tie", "tie (bothbad)"]
    assert "rows: preference" not in release.counts
    assert {(row["label"], row["completion"][0]["content"]) for row in rows(release, "unpaired")} == {
        (False, "Red, like a rose."),
        (False, "Blue, like the sea."),
    }


@pytest.mark.parametrize(
    ("exposure", "right", "counted"),
    [
        ({}, {}, 1),
        ({**LOOKED, "right_ms": 40}, {}, 1),
        ({**LOOKED, "right_whole": False}, {}, 1),
        ({"left_ms": 4_000, "right_ms": 3_000}, {}, 1),
        (LOOKED, {"state": "stopped"}, 1),
        (LOOKED, {"system_prompt": "Be rude."}, 0),
    ],
    ids=[
        "not known to be seen",
        "glanced at",
        "not seen to its end",
        "not known to be whole",
        "not finished",
        "told otherwise",
    ],
)
def test_what_was_not_fairly_compared_makes_no_pair(exposure, right, counted):
    compared("left")
    state = right.pop("state", None)
    if state:
        left = factories.conversation(factories.consenting_user(), ("Name a tree.", "Oak, like a ship."))
        other = factories.reply_to(left.parent, "Fir, like a mast.")
        other.reply.state = state
        other.reply.save()
        one = shown(left, other)
        comparing.answer(comparison_id=one.pk, user=one.user, choice="left", exposure=exposure, now=timezone.now())
    else:
        compared("left", exposure=exposure, right=right)
    counts = sealed(**ALL_IN_TRAINING).counts
    assert (counts["rows: preference"], counts["rows: comparisons"]) == (1, 1 + counted)


@pytest.mark.parametrize("subject", ["account", "conversation", "left", "comparison"])
def test_a_comparison_without_consent_is_left_out(subject):
    comparison = compared("left")
    conversation_id = comparison.question.conversation_id
    scopes = {
        "account": ("account", None),
        "conversation": ("conversation", conversation_id),
        "left": ("rating", comparison.left_id),
        "comparison": ("rating", comparison.pk),
    }
    scope, subject_id = scopes[subject]
    consent.withdraw(comparison.user, scope=scope, subject_id=subject_id, now=timezone.now())
    with pytest.raises(NothingToRelease) as nothing:
        sealed()
    assert nothing.value.funnel["left out: no consent"] == 1


def say_beneath(reply, answer):
    """What the person says in the widget beneath one reply."""
    client = Client()
    client.force_login(reply.conversation.user)
    client.post(reverse("allow-use", args=[reply.pk]), {"training_consent": answer})


@pytest.mark.parametrize("order", [("left", "right"), ("right", "left")])
def test_refusing_one_reply_refuses_the_comparison_whatever_is_said_of_the_other(order):
    comparison = compared("left")
    for side in order:
        say_beneath(getattr(comparison, side), "no" if side == "left" else "yes")
    with pytest.raises(NothingToRelease) as nothing:
        sealed()
    assert nothing.value.funnel["left out: no consent"] == 1


@pytest.mark.parametrize(
    ("allowed", "used"), [(["left"], 0), (["right"], 0), (["left", "right"], 1), (["comparison"], 1)], ids=str
)
def test_a_comparison_of_a_chat_that_may_not_be_used_needs_a_yes_to_all_of_it(allowed, used):
    comparison = compared("left")
    consent.withdraw(
        comparison.user, scope="conversation", subject_id=comparison.question.conversation_id, now=timezone.now()
    )
    for part in allowed:
        if part == "comparison":
            consent.grant(comparison.user, scope="rating", subject_id=comparison.pk, now=timezone.now())
        else:
            say_beneath(getattr(comparison, part), "yes")
    found = releasing.make_release if used else refused
    found(specification=Specification(), made_by=None, now=timezone.now())


def refused(**asked):
    with pytest.raises(NothingToRelease) as nothing:
        releasing.make_release(**asked)
    assert nothing.value.funnel["left out: no consent"] == 1


@pytest.mark.parametrize("origin", ["share", "import", "docs"])
def test_a_comparison_among_words_of_others_is_left_out(origin):
    comparison = compared("left")
    type(comparison.question.conversation).objects.update(origin=origin)
    with pytest.raises(NothingToRelease) as nothing:
        sealed()
    assert nothing.value.funnel["left out: words of others"] == 1


def corrected(reply, quote, right_text, reviewer, verdict="approved", occurrence=None):
    correction = correcting.correct(
        user=reply.conversation.user,
        message=reply,
        quote=quote,
        right_text=right_text,
        occurrence=occurrence,
        client_event_id=uuid.uuid4(),
        now=timezone.now(),
    )
    if verdict:
        reviewing.decide(
            rating_id=Rating.objects.get(message=reply).pk, reviewer=reviewer, verdict=verdict, now=timezone.now()
        )
    return correction


def test_an_approved_correction_is_a_pair_and_a_demonstration(reviewer):
    reply = factories.conversation(factories.consenting_user(), ("Capital of Australia?", "It is Sydney, by the sea."))
    corrected(reply, "Sydney, by the sea", "Canberra", reviewer)
    release = sealed()
    (pair,) = rows(release, "preference")
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == (
        "It is Canberra.",
        "It is Sydney, by the sea.",
    )
    assert pair["metadata"]["rule"] == "edit"
    assert pair["metadata"]["confidence"] == pytest.approx(0.9)
    (demonstration,) = rows(release, "sft")
    assert demonstration["completion"][0]["content"] == "It is Canberra."
    (label,) = rows(release, "unpaired")
    assert label["label"] is False


def test_words_that_stand_twice_are_data_where_it_was_said_which_are_meant(reviewer):
    said = "It is 3 m **wide** and 3 m tall, 😀 3 m deep."
    reply = factories.conversation(factories.consenting_user(), ("What size is it?", said))
    unplaced = corrected(reply, "3 m", "5 m", reviewer, verdict="")
    corrected(reply, "3 m", "41 m", reviewer, verdict="", occurrence=2)
    corrected(reply, "It is 3 m wide", "It has 2 m", reviewer, occurrence=1)
    # One that may be about words that would stay is in the way of them all.
    assert "rows: preference" not in sealed(**ALL_IN_TRAINING).counts
    correcting.withdraw(user=unplaced.user, correction_id=unplaced.pk, now=timezone.now())
    (pair,) = rows(sealed(**ALL_IN_TRAINING), "preference")
    assert pair["chosen"][0]["content"] == "It has 2 m and 41 m tall, 😀 3 m deep."


def test_another_answer_altogether_is_a_demonstration_and_no_pair(reviewer):
    reply = factories.conversation(factories.consenting_user(), ("Capital of Australia?", "I cannot say."))
    corrected(reply, "", "Canberra, since 1913, because neither Sydney nor Melbourne would give in.", reviewer)
    counts = sealed().counts
    assert "rows: preference" not in counts
    assert counts["rows: sft"] == 1


def test_words_that_are_only_marked_as_wrong_make_no_better_answer(reviewer):
    reply = factories.conversation(factories.consenting_user(), ("Capital of Australia?", "It is Sydney, by the sea."))
    corrected(reply, ", by the sea", "", reviewer)
    release = sealed()
    made = {name for name in release.counts if name.startswith("rows: ")}
    assert made == {"rows: prompts", "rows: trees", "rows: unpaired"}
    (label,) = rows(release, "unpaired")
    assert (label["completion"][0]["content"], label["label"]) == ("It is Sydney, by the sea.", False)


def test_a_correction_counts_from_the_release_on_that_no_mark_stands_beside_it(reviewer):
    reply = factories.conversation(factories.consenting_user(), ("Capital of Australia?", "It is Sydney, by the sea."))
    mark = corrected(reply, "by the sea", "", reviewer, verdict="")
    corrected(reply, "Sydney", "Canberra", reviewer)
    release = frozen(**ALL_IN_TRAINING)
    correcting.withdraw(user=mark.user, correction_id=mark.pk, now=timezone.now())
    assert "rows: preference" not in building.work_off(release.pk).counts
    (pair,) = rows(sealed(**ALL_IN_TRAINING), "preference")
    assert pair["chosen"][0]["content"] == "It is Canberra, by the sea."


@pytest.mark.parametrize("why", ["rejected", "withdrawn"])
def test_a_correction_that_does_not_stand_is_in_no_row(reviewer, why):
    reply = factories.conversation(factories.consenting_user(), ("Capital of Australia?", "It is Sydney, by the sea."))
    made = corrected(reply, "Sydney", "Canberra", reviewer, "rejected" if why == "rejected" else "approved")
    other = factories.conversation(factories.consenting_user(), ("Hi", "Hello."))
    rating = capture.rate(
        user=other.conversation.user, message=other, value=1, client_event_id=uuid.uuid4(), now=timezone.now()
    )
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer, verdict="approved", now=timezone.now())
    if why == "withdrawn":
        correcting.withdraw(user=made.user, correction_id=made.pk, now=timezone.now())
    release = sealed()
    assert "Canberra" not in json.dumps([rows(release, config) for config in ("unpaired", "sft")])
    assert "rows: preference" not in release.counts


def test_rows_carry_how_far_their_rater_is_believed_and_the_least_believed_are_counted_out(reviewer):
    def raters_row(user, number, seconds):
        reply = factories.conversation(user, (f"What is {number}?", f"Number {number} is what follows {number - 1}."))
        at = timezone.now() + timedelta(seconds=seconds)
        rating = capture.rate(
            user=user, message=reply, value=1 if number % 2 else -1, client_event_id=uuid.uuid4(), now=at
        )
        Rating.objects.filter(pk=rating.pk).update(decided_event=rating.event, verdict="approved")

    half, hasty = factories.consenting_user(), factories.consenting_user()
    for number in range(10):
        # Half of the first person's ratings, and all but the first of the second's, follow within two seconds.
        raters_row(half, number, 60 * (number // 2) + number % 2)
        raters_row(hasty, 100 + number, number)
    release = sealed(configs=("unpaired",), min_weight=0.2, near_duplicates="keep")
    assert release.counts["dropped: rater not believed"] == 10
    assert {round(row["metadata"]["weight"], 2) for row in rows(release, "unpaired")} == {0.5}
