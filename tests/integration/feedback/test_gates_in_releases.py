"""What a release's settings keep out of it by what a row says itself, and that the funnel names it."""

import pytest
from datasets import load_dataset
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import User
from feedback.models import Release
from feedback.release import store
from tests import factories
from tests.integration.feedback.test_release import rated, sealed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]

SHORT, USUAL, LONG = "Blue.", "Green.", "Red, like " + "a rose and " * 50 + "a brick."
CHINESE, CORRECTED = "天空看起来是蓝色的。", "Black, with some stars."


@pytest.fixture
def replies():
    """Four that were liked, and one that a reviewer corrected: surer than a liking."""
    reviewer = User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")
    person = factories.consenting_user()
    questions = {
        SHORT: "Which colour has the sea?",
        USUAL: "And grass, in spring?",
        LONG: "Say something red.",
        CHINESE: "白天的天空是什么颜色?",
    }
    for reply, question in questions.items():
        rated(factories.conversation(person, (question, reply)), 1, reviewer)
    rated(factories.conversation(person, ("How does night look?", "White.")), -1, reviewer, ideal=CORRECTED)


@pytest.mark.parametrize(
    ("setting", "why", "left_out"),
    [
        ({"min_reply_characters": len(USUAL)}, "too short", {SHORT}),
        ({"max_row_characters": 100}, "too long", {LONG}),
        ({"languages": ("en",)}, "language", {CHINESE}),
        ({"languages": ("zh", "ja")}, "language", {SHORT, USUAL, LONG, CORRECTED}),
        ({"min_confidence": 0.95}, "too unsure", {SHORT, USUAL, LONG, CHINESE}),
    ],
    ids=["too short", "too long", "not English", "not Chinese or Japanese", "too unsure"],
)
@pytest.mark.usefixtures("replies")
def test_what_a_setting_keeps_out_is_left_out_and_counted(setting, why, left_out):
    release = sealed(configs=("sft",), **setting)
    splits = load_dataset(store.location(release.folder), "sft").values()
    there = {row["completion"][0]["content"] for split in splits for row in split}
    assert there == {SHORT, USUAL, LONG, CHINESE, CORRECTED} - left_out
    dropped = {step: count for step, count in release.counts.items() if step.startswith("dropped")}
    assert dropped == {f"dropped: {why}": len(left_out)}
    assert (release.counts["rows made"], release.counts["rows: sft"]) == (5, 5 - len(left_out))


@pytest.mark.usefixtures("replies")
def test_where_the_gates_leave_nothing_a_dry_run_says_what_they_dropped_and_so_does_the_failure(capsys, client):
    wish = ("--spec", '{"configs": ["sft"], "languages": ["ko"]}')
    call_command("release", "make", "--dry-run", *wish)
    assert "5  Dropped: other language" in capsys.readouterr().out
    with pytest.raises(CommandError, match=r"^The gates left no row"):
        call_command("release", "make", *wish)
    assert "5  Dropped: other language" in capsys.readouterr().out
    assert [(one.state, one.counts["rows made"]) for one in Release.objects.order_by("created_at")] == [
        ("counted", 5),
        ("failed", 5),
    ]
    page = reverse("release", args=[Release.objects.get(state="failed").pk])
    client.force_login(User.objects.get(email="reviewer@example.org"))
    assert "没有剩下任何一行" in client.get(page, headers={"accept-language": "zh-hans"}).content.decode()


def test_who_likes_and_who_dislikes_the_same_reply_are_no_duplicates():
    reviewer = User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")
    for value in (1, -1, -1):
        reply = factories.conversation(factories.consenting_user(), ("Hi", "Hello! How can I help you today?"))
        rated(reply, value, reviewer)
    release = sealed(test_share=0.0, validation_share=0.0)
    said = load_dataset(store.location(release.folder), "unpaired")["train"]["label"]
    assert sorted(said) == [False, True]
    assert "dropped: near-duplicate" not in release.counts


def test_different_replies_to_one_long_question_are_no_duplicates():
    reviewer = User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")
    question = "Shorten this letter: " + " ".join(f"sentence number {number} of it" for number in range(40))
    good = factories.conversation(factories.consenting_user(), (question, "The letter says thank you for the plums."))
    rated(good, 1, reviewer)
    for words in (
        "I cannot do that, sorry.",
        "Letters are written on paper by hand.",
        "Which one of them do you mean?",
    ):
        rated(factories.reply_to(good.parent, words), -1, reviewer)
    other = factories.conversation(factories.consenting_user(), (question, "The letter says thank you for the plums!"))
    rated(other, 1, reviewer)
    counts = sealed(test_share=0.0, validation_share=0.0, configs=("preference", "unpaired")).counts
    assert (counts["rows: preference"], counts["rows: unpaired"]) == (3, 4)
    assert counts["dropped: near-duplicate"] + counts.get("dropped: exact duplicate", 0) == 1


def test_pairs_that_prefer_the_opposite_are_no_duplicates():
    reviewer = User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")
    words = ("Mercury is the planet nearest to the sun.", "Mercury is a metal that is liquid in a warm room.")
    for best, worst in (words, reversed(words)):
        liked = factories.conversation(factories.consenting_user(), ("What is Mercury?", best))
        rated(liked, 1, reviewer)
        rated(factories.reply_to(liked.parent, worst), -1, reviewer)
    counts = sealed(test_share=0.0, validation_share=0.0, configs=("preference", "unpaired")).counts
    assert (counts["rows: preference"], counts["rows: unpaired"]) == (2, 4)


@pytest.mark.usefixtures("replies")
def test_the_card_tells_the_funnel_from_ratings_to_rows():
    release = sealed(configs=("sft",), languages=("en",))
    _before, funnel = store.read(f"{release.folder}/README.md").decode().split("| step | count |\n|---|---|\n")
    steps = [line.split("|")[1].strip() for line in funnel.split("\n\n")[0].splitlines()]
    assert steps == ["ratings", "ratings used", "rows made", "dropped: language", "rows: sft"]


@pytest.mark.usefixtures("replies")
def test_without_such_settings_all_of_them_are_in():
    assert sealed(configs=("sft",)).counts["rows: sft"] == 5
