"""Conversation trees of a release: in Open-Assistant's schema, and nothing in them that nobody said yes to."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone
from pydantic import BaseModel, ConfigDict

from accounts import consent
from accounts.models import User
from chat.models import Message
from feedback import comparing
from feedback.models import Release
from feedback.release import store, trees, verify
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import corrected, shown
from tests.integration.feedback.test_erasure_in_releases import everything_in, worked_off
from tests.integration.feedback.test_release import rated, sealed, some_ratings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]


# The shapes that Open-Assistant publishes for its exports; a row's own `id` is all that we add.
class Label(BaseModel):
    value: float | None
    count: int


class Node(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message_id: str
    parent_id: str | None
    user_id: str | None
    text: str
    role: str
    lang: str | None
    review_count: int | None
    review_result: bool | None
    deleted: bool | None
    rank: int | None
    synthetic: bool | None
    model_name: str | None
    emojis: dict[str, int] | None
    replies: list[Node] | None
    labels: dict[str, Label] | None
    events: dict[str, list[dict[str, str]]] | None
    tree_state: str | None


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message_tree_id: str
    tree_state: str | None
    prompt: Node | None
    origin: str | None
    id: str


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


def released(**choices):
    return sealed(**{"test_share": 0.0, "validation_share": 0.0, **choices})


def trees_in(release) -> list[Tree]:
    files = sorted(Path(store.location(release.folder), "trees").glob("*.jsonl.gz"))
    return [Tree.model_validate_json(line) for file in files for line in gzip.open(file, "rt", encoding="utf-8")]


def walk(node: Node, parent: Node | None = None) -> Iterator[Node]:
    """Every message, as readers go down: each below the one it names, and of the other role."""
    assert node.parent_id == (parent.message_id if parent else None)
    assert node.role == ("prompter" if parent is None or parent.role == "assistant" else "assistant")
    yield node
    for reply in node.replies or []:
        yield from walk(reply, node)


def texts(tree):
    return [node.text for node in walk(tree.prompt)]


def test_every_tree_can_be_walked_in_the_schema_and_names_no_message_of_ours(reviewer):
    some_ratings(reviewer)
    release = released()
    found = trees_in(release)
    assert len(found) == release.counts["rows: trees"] == 6
    ids = [node.message_id for tree in found for node in walk(tree.prompt)]
    assert len(ids) == len(set(ids)) == 6 * 6
    assert not set(ids) & {str(known) for known in Message.objects.values_list("pk", flat=True)}
    assert all(tree.message_tree_id == tree.prompt.message_id and tree.tree_state == trees.STATE for tree in found)
    assert {tree.id for tree in found} == set(release.rows.filter(config="trees").values_list("row_id", flat=True))


def test_replies_are_ranked_by_what_was_said_of_them_and_corrections_stand_beside_them(reviewer):
    user = factories.consenting_user()
    good = factories.conversation(user, ("Hi", "Hello."), ("Name a colour.", "Blue."))
    bad = factories.reply_to(good.parent, "I cannot.")
    rated(good, 1, reviewer)
    rated(bad, -1, reviewer, ideal="Green, like grass.")
    (tree,) = trees_in(released())
    assert [tree.prompt.text, tree.prompt.replies[0].text] == ["Hi", "Hello."]
    (asked,) = tree.prompt.replies[0].replies
    by_text = {reply.text: reply for reply in asked.replies}
    assert {text: reply.rank for text, reply in by_text.items()} == {
        "Green, like grass.": 0,
        "Blue.": 1,
        "I cannot.": 2,
    }
    assert (by_text["Green, like grass."].synthetic, by_text["Blue."].synthetic) == (False, True)
    assert by_text["Blue."].model_name == tree.prompt.replies[0].model_name == "smollm2-135m-instruct@test"
    assert (by_text["Blue."].emojis, by_text["I cannot."].emojis) == ({"+1": 1}, {"-1": 1})
    assert by_text["I cannot."].labels["quality"].value == 0
    assert (by_text["Blue."].review_count, by_text["Blue."].review_result) == (1, True)
    # Nobody said anything of this one.
    assert (tree.prompt.replies[0].rank, tree.prompt.replies[0].review_result) == (None, None)


def test_words_only_marked_as_wrong_stand_as_they_are_with_nothing_beside_them(reviewer):
    reply = factories.conversation(factories.consenting_user(), ("Name a colour.", "Blue, like the sun."))
    corrected(reply, ", like the sun", "", reviewer)
    (tree,) = trees_in(released())
    assert texts(tree) == ["Name a colour.", "Blue, like the sun."]


def test_a_tree_holds_what_leads_to_a_rated_or_compared_reply_and_no_more(reviewer):
    user = factories.consenting_user()
    first = factories.conversation(user, ("Name a tree.", "Oak."))
    one = shown(first, factories.reply_to(first.parent, "Whitebeam."))
    factories.reply_to(first.parent, "Never rated.")
    comparing.answer(comparison_id=one.pk, user=user, choice=chosen(one, "Whitebeam."), now=timezone.now())
    other = factories.conversation(user, ("Name a stone.", "Flint."))
    consent.withdraw(user, scope="conversation", subject_id=other.conversation_id, now=timezone.now())
    rated(other, 1, reviewer)
    (tree,) = trees_in(released())
    assert sorted(texts(tree)) == ["Name a tree.", "Oak.", "Whitebeam."]
    assert {reply.text: reply.rank for reply in tree.prompt.replies} == {"Whitebeam.": 0, "Oak.": 1}


def test_replies_whose_models_were_told_otherwise_are_not_ranked(reviewer):
    good = factories.conversation(factories.consenting_user(), ("Hi", "Hello."))
    rated(good, 1, reviewer)
    rated(factories.reply_to(good.parent, "Go away.", system_prompt="Be rude."), -1, reviewer)
    (tree,) = trees_in(released())
    assert {reply.text: reply.rank for reply in tree.prompt.replies} == {"Hello.": None, "Go away.": None}


def chosen(one, text):
    return "left" if one.left.content == text else "right"


def test_questions_on_both_sides_of_a_failed_reply_are_one_message(reviewer):
    failed = factories.conversation(factories.consenting_user(), ("First?", ""))
    question = Message.objects.create(
        conversation=failed.conversation, parent=failed, role="user", content="Second?", client_id=uuid.uuid4()
    )
    rated(factories.reply_to(question, "Answer."), 1, reviewer)
    (tree,) = trees_in(released())
    assert texts(tree) == ["First?\n\nSecond?", "Answer."]


@pytest.mark.parametrize("where", ["question", "reply", "correction"])
@pytest.mark.parametrize("choice", ["drop", "mask"])
def test_personal_data_in_any_message_is_dropped_or_masked(reviewer, where, choice):
    planted = {where: "write to ann@example.org"}
    said = factories.conversation(
        factories.consenting_user(),
        (f"Hi, {planted.get('question', 'there')}.", f"Hello, {planted.get('reply', 'you')}."),
        ("Why?", "So."),
    )
    rated(said, -1, reviewer, ideal=f"Because, {planted.get('correction', 'thus')}.")
    rated(factories.conversation(factories.consenting_user(), ("Name a colour.", "Blue.")), 1, reviewer)
    release = released(personal_data=choice)
    found = "\n".join(text for tree in trees_in(release) for text in texts(tree))
    assert "ann@example.org" not in found
    assert ("write to [EMAIL_1]" in found) == (choice == "mask")
    assert len(trees_in(release)) == (1 if choice == "drop" else 2)


def test_the_same_trees_are_the_same_bytes_and_stand_in_every_list(reviewer):
    some_ratings(reviewer)
    first = released(shard_rows=4)
    Release.objects.filter(pk=first.pk).update(specification_sha256="another")
    second = released(shard_rows=4)
    names = ["trees/train-00000-of-00002.jsonl.gz", "trees/train-00001-of-00002.jsonl.gz"]
    for name in names:
        assert store.read(f"{first.folder}/{name}") == store.read(f"{second.folder}/{name}")
        assert name in store.read(f"{first.folder}/SHA256SUMS").decode()
        assert name in {file["path"] for file in verify.manifest_of(first)["files"]}
        assert name in store.read(f"{first.folder}/croissant.json").decode()
    assert "6 trees." in store.read(f"{first.folder}/README.md").decode()
    store.write(f"{first.folder}/{names[0]}", b"other words")
    assert verify.problems(first) == [f"{names[0]} was changed"]
    (changed,) = [one for one in verify.differences(old=first, new=second) if one.config == "trees"]
    assert (changed.added, changed.removed, changed.kept) == (0, 0, 6)


def test_catalogues_open_the_trees(reviewer):
    import mlcroissant

    some_ratings(reviewer)
    data_set = mlcroissant.Dataset(Path(store.location(released().folder), "croissant.json"))
    assert not data_set.metadata.issues.errors
    record = next(iter(data_set.records("trees-train")))
    assert record["trees-train/prompt_text"] == b"Hi"


def test_whoever_withdraws_is_in_no_tree_any_more(reviewer, storage):
    some_ratings(reviewer)
    gone = factories.consenting_user()
    said = factories.conversation(gone, ("Name a sweet.", "Marzipan."), ("And another?", "Halva."))
    rated(said, 1, reviewer)
    first = released(shard_rows=3)
    assert any("Marzipan." in texts(tree) for tree in trees_in(first))
    consent.withdraw(gone, scope="conversation", subject_id=said.conversation_id, now=timezone.now())
    worked_off()
    second = Release.objects.get(parent=first)
    assert verify.problems(second) == []
    kept = trees_in(second)
    assert len(kept) == second.counts["rows: trees"] == 6
    assert not any("Marzipan." in texts(tree) for tree in kept)
    assert "Marzipan" not in everything_in(storage)


def test_a_conversation_too_long_to_walk_is_left_out_and_counted(reviewer, monkeypatch):
    monkeypatch.setattr("feedback.release.gates.judging.MOST_MESSAGES", 4)
    user = factories.consenting_user()
    rated(factories.conversation(user, *((f"Question {n}?", f"Answer {n}.") for n in range(3))), 1, reviewer)
    release = released()
    assert release.counts["dropped: too long"] == 1
    assert trees_in(release) == []


def test_the_deepest_tree_that_passes_can_be_written_and_read():
    nodes, words = [], []
    for number in range(trees.MOST_MESSAGES):
        parent = str(number - 1) if number else None
        nodes.append({"message_id": str(number), "parent_id": parent})
        words.append(f"words {number}")
    depth, node = 0, json.loads(trees.line("row", words, json.dumps(nodes)))["prompt"]
    while node:
        depth, node = depth + 1, next(iter(node["replies"]), None)
    assert depth == trees.MOST_MESSAGES
