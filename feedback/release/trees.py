"""Conversation trees in the schema of Open-Assistant's data sets: a question, its replies, what was asked next.

A tree holds what of a conversation leads to replies that somebody rated or compared, and nothing else of it: the paths
that the other configs give as prompts, and those replies. What a reviewer or the person would rather have read stands
beside the reply it corrects, `synthetic` false. Ids name messages in data sets alone, and tell nothing else.
The schema has no place for a system prompt.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from feedback.release.gates.language import language_of
from feedback.release.prompts import Paths, Prompt, Turn, runs, words
from feedback.release.rules import Candidate, Member
from feedback.release.rules_of_comparisons import Compared, Side

# Readers of nested replies go down by recursion.
MOST_MESSAGES = 200
STATE = "ready_for_export"
ROLES = {"user": "prompter", "assistant": "assistant"}
_NAMES = uuid.UUID("6f1d3b52-0c1e-5c57-9a0e-3f0f5b8f4c11")
# How a reply stands to the others to its question: what was said of it, added up.
_CORRECTED = 2
_CHOSEN = {"left": (1, -1), "right": (-1, 1), "tie": (0, 0), "neither": (-1, -1)}


@dataclass
class _Node:
    message_id: str
    parent_id: str | None
    role: str
    text: str
    model_version: str = ""
    is_synthetic: bool = False
    n_reviews: int | None = None
    is_up: bool | None = None
    reasons: tuple[str, ...] = ()
    score: int | None = None
    # What the model was given, and all it was.
    prompt: Prompt | None = None
    replies: dict[str, _Node] = field(default_factory=dict)

    def judge(self, score: int) -> None:
        self.score = (self.score or 0) + score


@dataclass
class _Tree:
    root: _Node
    sources: list[Member | Compared] = field(default_factory=list)


def trees(
    members: Iterable[Member], comparisons: Iterable[Compared], paths: Paths, prompts: Mapping[uuid.UUID, Prompt]
) -> Iterator[Candidate]:
    """A tree for each first question that leads to one of these replies."""
    grown: dict[tuple[uuid.UUID, str], _Tree] = {}
    for member in members:
        if question := _grow(grown, member.user_id, paths[member.reply_id], member):
            _rated(question, member, prompts[member.reply_id])
    for one in comparisons:
        if question := _grow(grown, one.user_id, paths[one.left.reply_id], one):
            for side, score in zip((one.left, one.right), _CHOSEN[one.choice], strict=True):
                if side.content:
                    _reply(question, side, prompts[side.reply_id]).judge(score)
    for (user_id, _root), tree in sorted(grown.items(), key=lambda item: item[0]):
        yield _candidate(user_id, tree)


def line(row_id: str, texts: Sequence[str], nodes: str) -> str:
    """A tree as one line of its file; `id` is the row's, all else is Open-Assistant's."""
    found: dict[str, dict[str, Any]] = {}
    for text, known in zip(texts, json.loads(nodes), strict=True):
        node = {**known, "text": text, "replies": []}
        found[node["message_id"]] = node
        if node["parent_id"]:
            found[node["parent_id"]]["replies"].append(node)
    root = next(iter(found.values()))
    tree = {"message_tree_id": root["message_id"], "tree_state": STATE, "prompt": root, "origin": None, "id": row_id}
    return json.dumps(tree, ensure_ascii=False) + "\n"


def _grow(
    grown: dict[tuple[uuid.UUID, str], _Tree], user_id: uuid.UUID, path: Sequence[Turn], source: Member | Compared
) -> _Node | None:
    """The question at the end of the path, in a tree that holds all of it; None where there is no question."""
    node: _Node | None = None
    for run in runs(path):
        name = _name(*(turn.message_id for turn in run))
        made = _Node(name, node.message_id if node else None, run[0].role, words(run), run[-1].model_version)
        made.is_synthetic = made.role == "assistant"
        if node is None:
            tree = grown.setdefault((user_id, name), _Tree(made))
            tree.sources.append(source)
            node = tree.root
        else:
            node = node.replies.setdefault(name, made)
    return node if node and node.role == "user" else None


def _reply(question: _Node, said: Member | Side, prompt: Prompt) -> _Node:
    name = _name(said.reply_id)
    made = _Node(name, question.message_id, "assistant", said.content, said.model_version, is_synthetic=True)
    node = question.replies.setdefault(name, made)
    node.prompt = prompt
    return node


def _rated(question: _Node, member: Member, prompt: Prompt) -> None:
    node = _reply(question, member, prompt)
    node.n_reviews, node.is_up, node.reasons = member.n_reviews, member.is_up, member.reasons
    node.judge(1 if member.is_up else -1)
    better = member.ideal_text or member.corrected
    if better.strip() != member.content.strip():
        name = _name(member.event_id)
        corrected = _Node(name, question.message_id, "assistant", better, n_reviews=member.n_reviews)
        corrected.prompt = prompt
        corrected.judge(_CORRECTED)
        question.replies[name] = corrected


def _candidate(user_id: uuid.UUID, tree: _Tree) -> Candidate:
    nodes = list(_depth_first(tree.root))
    ranks = {name: rank for node in nodes for name, rank in _ranks(node).items()}
    sources = tree.sources
    events = {event for one in sources for event in (one.sources if isinstance(one, Member) else [one.event_id])}
    return Candidate(
        config="trees",
        user_id=user_id,
        source_events=tuple(sorted(events)),
        prompt=[{"role": node.role, "content": node.text} for node in nodes],
        chosen="",
        rejected="",
        label=True,
        rule="tree",
        confidence=1.0,
        model_version="",
        locale=sources[0].locale,
        language="",
        n_reviews=sum(node.n_reviews or 0 for node in nodes if node.is_synthetic),
        reasons=tuple(sorted({reason for one in sources for reason in one.reasons})),
        prompt_form="shown",
        weight=min(one.weight for one in sources),
        nodes=json.dumps([_known(node, ranks.get(node.message_id)) for node in nodes]),
    )


def _depth_first(root: _Node) -> Iterator[_Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.replies[name] for name in sorted(node.replies, reverse=True))


def _ranks(node: _Node) -> dict[str, int]:
    """The place of each reply to a question, best 0, equals together.

    None unless all were judged, and differently. Honest only when the models were all told the same.
    """
    replies = list(node.replies.values())
    by_score: dict[int, list[str]] = defaultdict(list)
    for reply in replies:
        if reply.score is None or reply.prompt != replies[0].prompt:
            return {}
        by_score[reply.score].append(reply.message_id)
    if len(by_score) < 2:
        return {}
    return {name: rank for rank, score in enumerate(sorted(by_score, reverse=True)) for name in by_score[score]}


def _known(node: _Node, rank: int | None) -> dict[str, Any]:
    labels: dict[str, dict[str, float]] = {}
    if node.is_up is not None:
        given = {"quality": 1.0 if node.is_up else 0.0, **dict.fromkeys(node.reasons, 1.0)}
        labels = {name: {"value": value, "count": 1} for name, value in sorted(given.items())}
    return {
        "message_id": node.message_id,
        "parent_id": node.parent_id,
        "user_id": None,
        "role": ROLES[node.role],
        "lang": language_of(node.text),
        "review_count": node.n_reviews or 0,
        "review_result": True if node.n_reviews else None,
        "deleted": False,
        "rank": rank,
        "synthetic": node.is_synthetic,
        "model_name": node.model_version or None,
        "emojis": {} if node.is_up is None else {"+1" if node.is_up else "-1": 1},
        "labels": labels,
        "events": None,
        "tree_state": None,
    }


def _name(*ids: uuid.UUID) -> str:
    return str(uuid.uuid5(_NAMES, " ".join(map(str, ids))))
