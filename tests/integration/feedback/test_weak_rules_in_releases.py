"""What people did with replies and said nothing about: rows only where they are asked for, and only where it is all."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import consent, erasure
from accounts.models import User
from chat.models import Reply
from feedback import capture, comparing, correcting, signals
from feedback.models import ImplicitSignal, Release
from feedback.release import building, verify
from feedback.release.specification import BadSpecification, Specification, specification
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import rows, shown
from tests.integration.feedback.test_erasure_in_releases import everything_in, worked_off
from tests.integration.feedback.test_release import frozen, rated, sealed
from tests.integration.feedback.test_written_again_in_releases import seen

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
UNSPLIT = {"test_share": 0.0, "validation_share": 0.0, "near_duplicates": "keep"}
WEAK = {**UNSPLIT, "weak_rules": ("regen_no_rating", "used")}
FIRST, SECOND = "Marzipan, I think.", "Nougat, of course."


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


@pytest.fixture
def person(reviewer):
    """Somebody with a rating too, so that a release without weak rows is one all the same."""
    user = factories.consenting_user()
    rated(factories.conversation(user, ("Name a nut.", "Hazel.")), 1, reviewer)
    return user


def did(message, kind, cause=None, after=timedelta(seconds=10)):
    ended = message.reply.finished_at
    user = message.conversation.user
    return signals.keep(user=user, message=message, kind=kind, cause=cause or uuid.uuid4(), now=ended + after)


def written_again(user, *kinds, stood=timedelta(seconds=10), **receipt):
    """Marzipan was written again as Nougat, with which the person did something; returns both."""
    earlier = factories.conversation(user, ("Name a sweet.", FIRST))
    Reply.objects.filter(pk=earlier.pk).update(**receipt)
    later = factories.reply_to(earlier.parent, SECOND)
    earlier.refresh_from_db()
    seen(earlier, at=earlier.reply.finished_at + stood)
    did(earlier, "regenerated", cause=later.pk, after=stood)
    for kind in kinds:
        did(later, kind)
    return earlier, later


def made(release):
    """(chosen, rejected) of the pairs, and the completions and their confidence, of the weak rules."""
    pairs, labels = [], []
    if "rows: preference" in release.counts:
        for row in rows(release, "preference"):
            if row["metadata"]["rule"] == "regen_no_rating":
                assert row["metadata"]["confidence"] == pytest.approx(0.2)
                pairs.append((row["chosen"][0]["content"], row["rejected"][0]["content"]))
    for row in rows(release, "unpaired"):
        if row["metadata"]["rule"] == "used":
            assert row["label"] is True
            labels.append((row["completion"][0]["content"], round(row["metadata"]["confidence"], 1)))
    return pairs, labels


def test_nothing_is_guessed_unless_it_is_asked_for(person):
    written_again(person, "continued")
    release = sealed(**UNSPLIT)
    assert made(release) == ([], [])
    assert "signals" not in release.counts


def test_a_reply_that_was_kept_is_preferred_to_the_one_that_was_left(person):
    written_again(person, "continued")
    release = sealed(**WEAK)
    assert verify.problems(release) == []
    assert made(release) == ([(SECOND, FIRST)], [(SECOND, 0.2)])
    assert release.counts["signals used"] == 2
    assert set(release.rows.get(config="preference").source_events) == set(
        ImplicitSignal.objects.values_list("pk", flat=True)
    )
    assert frozen(**WEAK) == release


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(("used",), ([], [(SECOND, 0.2)])), (("regen_no_rating",), ([(SECOND, FIRST)], []))],
    ids=str,
)
def test_each_weak_rule_is_asked_for_by_its_name(person, wanted, expected):
    written_again(person, "shared")
    assert made(sealed(**UNSPLIT, weak_rules=wanted)) == expected


def test_what_was_done_in_several_ways_is_a_little_surer(person):
    reply = factories.conversation(person, ("Name a sweet.", FIRST))
    for kind in ("copied", "copied", "continued"):
        did(reply, kind)
    assert made(sealed(**WEAK)) == ([], [(FIRST, 0.3)])


def test_the_page_asks_for_them_by_the_same_name(person, reviewer):
    written_again(person, "copied")
    client = Client()
    client.force_login(reviewer)
    client.post("/feedback/releases/make", {"specification": '{"weak_rules": ["used"], "test_share": 0.1}'})
    release = Release.objects.get()
    assert release.specification["weak_rules"] == ["used"]
    page = client.post("/feedback/releases/make", {"specification": '{"weak_rules": ["thumb"]}'})
    assert "weak_rules are some of regen_no_rating, used, each once" in page.content.decode()


def test_a_specification_without_them_is_the_one_it_was():
    assert "weak_rules" not in Specification().as_json()
    assert specification({"weak_rules": []}).sha256 == Specification().sha256
    assert specification({"weak_rules": ["used"]}).sha256 != Specification().sha256
    for wrong in (["used", "used"], ["thumb"], [1], "used"):
        with pytest.raises(BadSpecification):
            specification({"weak_rules": wrong})


@pytest.mark.parametrize(
    "receipt",
    [
        {"state": "failed"},
        {"finish_reason": "length"},
        {"system_prompt": "Be brief."},
        {"stood": timedelta(seconds=1)},
    ],
    ids=str,
)
def test_what_was_not_seen_whole_or_told_the_same_makes_no_pair(person, receipt):
    written_again(person, "copied", **receipt)
    assert made(sealed(**WEAK)) == ([], [(SECOND, 0.2)])


@pytest.mark.parametrize("receipt", [{"state": "stopped"}, {"finish_reason": "length"}], ids=str)
def test_a_reply_that_did_not_come_to_its_own_end_is_not_desirable(person, receipt):
    _earlier, later = written_again(person, "copied")
    Reply.objects.filter(pk=later.pk).update(**receipt)
    assert made(sealed(**WEAK)) == ([], [])


def say_more(later, how, reviewer):
    user, now = later.conversation.user, timezone.now()
    given = {"user": user, "message": later, "client_event_id": uuid.uuid4(), "now": now}
    if how in ("rated up", "rated down"):
        capture.rate(**given, value=1 if how == "rated up" else -1)
    elif how in ("corrected", "marked"):
        quote = "Nougat" if how == "corrected" else "of course"
        correcting.correct(**given, quote=quote, right_text="Fudge" if how == "corrected" else "")
    elif how == "compared":
        beside = factories.reply_to(later.parent, "Turkish delight.")
        comparing.answer(comparison_id=shown(later, beside).pk, user=user, choice="left", now=now)
    else:
        did(later, how, cause=factories.reply_to(later.parent, "Turkish delight.").pk)


@pytest.mark.parametrize(
    "how", ["rated up", "rated down", "corrected", "marked", "compared", "regenerated", "edited", "stopped"]
)
def test_who_says_more_of_a_reply_is_not_guessed_about(person, reviewer, how):
    _earlier, later = written_again(person, "continued", "copied")
    say_more(later, how, reviewer)
    assert made(sealed(**WEAK)) == ([], [])


@pytest.mark.parametrize("how", ["rated up", "rated down", "copied", "shared", "continued"])
def test_what_was_spoken_or_made_use_of_was_not_left(person, reviewer, how):
    earlier, _later = written_again(person, "continued")
    say_more(earlier, how, reviewer)
    assert made(sealed(**WEAK))[0] == []


def test_a_rated_reply_makes_the_stronger_pair_alone(person, reviewer):
    _earlier, later = written_again(person, "continued")
    rated(later, 1, reviewer)
    release = sealed(**WEAK)
    assert made(release) == ([], [])
    assert [row["metadata"]["rule"] for row in rows(release, "preference")] == ["regen_then_up"]


@pytest.mark.parametrize(
    "gone",
    [{"is_temporary": True}, {"deleted_at": timezone.now()}, {"origin": "docs"}],
    ids=["temporary", "deleted", "with documents"],
)
def test_words_that_are_not_kept_or_are_those_of_others_stay_out(person, gone):
    earlier, _later = written_again(person, "continued")
    type(earlier.conversation).objects.filter(pk=earlier.conversation_id).update(**gone)
    assert made(sealed(**WEAK)) == ([], [])


@pytest.mark.parametrize("about", ["earlier", "later"])
def test_without_consent_for_a_reply_there_is_nothing_of_it(person, about):
    earlier, later = written_again(person, "continued")
    subject = earlier if about == "earlier" else later
    consent.withdraw(person, scope="rating", subject_id=subject.pk, now=timezone.now())
    assert made(sealed(**WEAK)) == ([], [(SECOND, 0.2)] if about == "earlier" else [])


@pytest.mark.parametrize("door", ["account", "conversation", "earlier", "later", "left us"])
@pytest.mark.parametrize("stage", ["rows", "choice", "files", "sealed"])
def test_who_takes_it_back_is_guessed_about_no_more(person, reviewer, storage, door, stage):
    rated(factories.conversation(factories.consenting_user(), ("Name a tree.", "Oak.")), 1, reviewer)
    earlier, later = written_again(person, "continued", "copied")
    release = frozen(**WEAK)
    while release.is_unfinished and not release.chunks.filter(stage=stage).exists():
        building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
        release.refresh_from_db()
    subjects = {
        "account": ("account", None),
        "conversation": ("conversation", earlier.conversation_id),
        "earlier": ("rating", earlier.pk),
        "later": ("rating", later.pk),
    }
    if door == "left us":
        erasure.erase(person.pk, now=timezone.now())
    else:
        scope, subject_id = subjects[door]
        consent.withdraw(person, scope=scope, subject_id=subject_id, now=timezone.now())
    building.work_off(release.pk)
    worked_off()
    now_there = Release.objects.get(state="sealed")
    assert verify.problems(now_there) == []
    assert made(now_there) == ([], [(SECOND, 0.3)] if door == "earlier" else [])
    assert FIRST not in everything_in(storage)
    assert (SECOND in everything_in(storage)) == (door == "earlier")
