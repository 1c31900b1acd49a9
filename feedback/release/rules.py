"""The versioned rules that turn reviewed ratings into rows of a data set.

| rule | config | a row is |
|---|---|---|
| `thumb` | unpaired | a reply with its thumb as label (KTO): from an absolute signal only, never from a relative win |
| `up_vs_down` | preference | two replies to the same prompt, one rated up and one down by the same person |
| `ideal` | preference, sft | a reviewer's better answer, preferred to the reply it corrects |
| `approved` | sft | a reply rated up |
| `thumb` | prompts | the prompt of a rated reply |
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from feedback.release.prompts import Messages, Prompt

RULES_VERSION = 2
CONFIGS = ("preference", "unpaired", "sft", "prompts")

# How sure a rule is of what it says.
CONFIDENCE = {"ideal": 1.0, "up_vs_down": 0.7, "thumb": 0.7, "approved": 0.7}


@dataclass(frozen=True)
class Member:
    """One rating of a release with the words it is about."""

    event_id: uuid.UUID
    user_id: uuid.UUID
    reply_id: uuid.UUID
    question_id: uuid.UUID
    is_up: bool
    reasons: tuple[str, ...]
    locale: str
    model_version: str
    n_reviews: int
    ideal_text: str
    content: str


@dataclass(frozen=True)
class Candidate:
    """One row. `chosen` is the completion where there is no pair; what a config has no use for is empty."""

    config: str
    user_id: uuid.UUID
    source_events: tuple[uuid.UUID, ...]
    prompt: Messages
    chosen: str
    rejected: str
    label: bool
    rule: str
    confidence: float
    model_version: str
    locale: str
    language: str
    n_reviews: int
    reasons: tuple[str, ...]
    prompt_form: str
    dropped: str = ""

    @property
    def row_id(self) -> str:
        """Names the row by its content alone."""
        said = [self.config, self.prompt, self.chosen, self.rejected, self.label]
        about = [self.rule, RULES_VERSION, self.confidence, self.model_version, self.locale, self.language]
        return _sha256(json.dumps([said, about, self.n_reviews, self.reasons, self.prompt_form], ensure_ascii=False))

    @property
    def texts(self) -> list[str]:
        """What people and models wrote, the operator's own system prompt left out."""
        return [turn["content"] for turn in self.prompt if turn["role"] != "system"] + [self.chosen, self.rejected]

    def with_texts(self, texts: list[str]) -> Candidate:
        """The same row with `texts` in the places of `self.texts`."""
        left = iter(texts)
        prompt = [turn if turn["role"] == "system" else {**turn, "content": next(left)} for turn in self.prompt]
        return replace(self, prompt=prompt, chosen=next(left), rejected=next(left))


def rows(members: Iterable[Member], prompts: Mapping[uuid.UUID, Prompt]) -> Iterator[Candidate]:
    """All rows that the rules make of these ratings; the same ratings in the same order give the same rows."""
    by_question: dict[tuple[uuid.UUID, uuid.UUID], list[Member]] = defaultdict(list)
    for member in members:
        prompt = prompts[member.reply_id]
        by_question[member.user_id, member.question_id].append(member)
        yield _row("unpaired", "thumb", [member], prompt, chosen=member.content, label=member.is_up)
        yield _row("prompts", "thumb", [member], prompt)
        if member.ideal_text and member.ideal_text != member.content.strip():
            yield _row("preference", "ideal", [member], prompt, chosen=member.ideal_text, rejected=member.content)
            yield _row("sft", "ideal", [member], prompt, chosen=member.ideal_text)
        elif member.is_up:
            yield _row("sft", "approved", [member], prompt, chosen=member.content)
    for variants in by_question.values():
        yield from _pairs(variants, prompts)


def _pairs(variants: list[Member], prompts: Mapping[uuid.UUID, Prompt]) -> Iterator[Candidate]:
    for up in (member for member in variants if member.is_up):
        for down in (member for member in variants if not member.is_up):
            # Honest only when the two differ in what was said and in nothing the model was told.
            if up.content != down.content and prompts[up.reply_id] == prompts[down.reply_id]:
                prompt = prompts[up.reply_id]
                yield _row("preference", "up_vs_down", [up, down], prompt, chosen=up.content, rejected=down.content)


def _row(
    config: str,
    rule: str,
    members: list[Member],
    prompt: Prompt,
    *,
    chosen: str = "",
    rejected: str = "",
    label: bool = True,
) -> Candidate:
    first = members[0]
    return Candidate(
        config=config,
        user_id=first.user_id,
        source_events=tuple(member.event_id for member in members),
        prompt=prompt.messages,
        chosen=chosen,
        rejected=rejected,
        label=label,
        rule=rule,
        confidence=1.0 if config == "prompts" else CONFIDENCE[rule],
        model_version=first.model_version,
        locale=first.locale,
        language="",
        n_reviews=sum(member.n_reviews for member in members),
        reasons=tuple(sorted({reason for member in members for reason in member.reasons})),
        prompt_form=prompt.form,
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
