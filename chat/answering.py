"""What became of a clarifying question: the answer that was tapped or written, or that it was just to answer."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass

from chat import clarifying, tree
from chat.models import Clarification, Conversation, Message, Reply


@dataclass(frozen=True)
class Option:
    """An answer that can be tapped, and whether it was."""

    text: str
    is_chosen: bool


@dataclass(frozen=True)
class Question:
    """A clarifying question as its page shows it. `words` is what it was answered with on the shown path, or last."""

    clarification: Clarification
    words: str | None
    is_just_answered: bool

    @property
    def text(self) -> str:
        return self.clarification.question

    @property
    def is_answered(self) -> bool:
        return self.words is not None

    @property
    def options(self) -> list[Option]:
        return [Option(text, text == self.words) for text in self.clarification.options]

    @property
    def answer_id(self) -> uuid.UUID:
        return clarifying.answer_id(self.clarification.reply_id)

    @property
    def just_answer_id(self) -> uuid.UUID:
        return clarifying.just_answer_id(self.clarification.reply_id)


def question_of(reply: Reply, conversation: Conversation) -> Question | None:
    """The question that a finished reply is; None for an answer. All of a conversation's are looked up at once."""
    clarification: Clarification | None = getattr(reply, "clarification", None)
    if clarification is None:
        return None
    known: dict[uuid.UUID, Question] = conversation.__dict__.setdefault("_clarifying_questions", {})
    if clarification.pk not in known:
        known.update(_questions(conversation))
    return known[clarification.pk]


def _questions(conversation: Conversation) -> dict[uuid.UUID, Question]:
    asked = list(
        Clarification.objects.filter(reply__message__conversation=conversation).select_related("reply__message")
    )
    ids = [one.pk for one in asked]
    parents = {one.reply.message.parent_id for one in asked}
    answers: dict[uuid.UUID, list[Message]] = defaultdict(list)
    for below in Message.objects.filter(parent__in=ids).order_by("created_at", "id"):
        answers[below.parent_id].append(below)  # type: ignore[index]
    newest: dict[uuid.UUID | None, Message] = {}
    for beside in Message.objects.filter(parent__in=parents).order_by("created_at", "id"):
        newest[beside.parent_id] = beside
    path = _path(conversation) if any(len(several) > 1 for several in answers.values()) else set()
    return {
        one.pk: Question(
            clarification=one,
            words=_words(answers[one.pk], path),
            is_just_answered=newest[one.reply.message.parent_id].pk != one.pk,
        )
        for one in asked
    }


def _path(conversation: Conversation) -> set[uuid.UUID]:
    leaf = conversation.current_leaf_id
    return set(tree.ancestor_ids(conversation_id=conversation.pk, leaf_id=leaf)) if leaf else set()


def _words(answers: list[Message], path: set[uuid.UUID]) -> str | None:
    shown = [answer for answer in answers if answer.pk in path] or answers
    return shown[-1].content if shown else None
