"""Rows of better answers: what a reviewer wrote where somebody found two replies alike, or both bad.

An answer is a demonstration. It is preferred to the two where the person called both bad: they and the reviewer are of
one mind then. Of replies that they found alike nobody said that they are bad, and so no pair is made.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from feedback.release.prompts import Prompt
from feedback.release.rules import Candidate
from feedback.release.rules_of_comparisons import Compared, Side, compared_row


@dataclass(frozen=True)
class Answered:
    """A better answer, and what it is better than."""

    answer_id: uuid.UUID
    text: str
    compared: Compared


def rows_of_answers(answers: Iterable[Answered], prompts: Mapping[uuid.UUID, Prompt]) -> Iterator[Candidate]:
    """A demonstration of each answer, and its pairs; the one reviewer who wrote it has read what it is about."""
    for one in answers:
        left, right = one.compared.left, one.compared.right
        prompt = prompts[left.reply_id]
        # Honest only when both models were told the same.
        if prompt != prompts[right.reply_id]:
            continue
        demonstration = _row("sft", one, prompt, left)
        yield replace(demonstration, rejected="", model_version="")
        if one.compared.choice != "neither" or not (left.was_seen and right.was_seen):
            continue
        for side in (left, right):
            if side.content.strip() not in ("", one.text):
                yield _row("preference", one, prompt, side)


def _row(config: str, one: Answered, prompt: Prompt, side: Side) -> Candidate:
    made = compared_row(config, "better_answer", one.compared, prompt, side, side)
    sources = (one.answer_id, one.compared.event_id)
    return replace(made, chosen=one.text, source_events=sources, n_reviews=1, reasons=(), other_model="")
