"""The versioned rules that turn reviewed ratings into rows of a data set.

| rule | config | a row is |
|---|---|---|
| `thumb` | unpaired | a reply with its thumb as label (KTO): from an absolute signal only, never from a relative win |
| `up_vs_down` | preference | two replies to one prompt, one rated up, one down (of two people: `across_people`) |
| `regen_then_up` | preference | a reply rated up, and the one before it that its person had written again |
| `ideal` | preference, sft | a reviewer's better answer, preferred to the reply it corrects |
| `edit` | preference, sft | the reply as its reader corrected it and a reviewer approved, preferred to the reply |
| `pairwise`, `vote`, `both_bad` | several | two replies side by side (`feedback.release.rules_of_comparisons`) |
| `regen_no_rating`, `used` | preference, unpaired | weak: what was done with it (`feedback.release.rules_of_signals`) |
| `better_answer` | preference, sft | a reviewer's answer to what was compared (`feedback.release.rules_of_answers`) |
| `approved` | sft | a reply rated up |
| `thumb` | prompts | the prompt of a rated reply |
| `tree` | trees | what of a conversation leads to rated and compared replies (`feedback.release.trees`) |
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from chat.choices import instructions_in
from feedback.release.prompts import Messages, Prompt

RULES_VERSION = 6
CONFIGS = ("preference", "unpaired", "sft", "prompts", "comparisons", "trees")

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+|[^\w\s]")

# How sure a rule is of what it says.
CONFIDENCE = {
    "ideal": 1.0,
    "pairwise": 1.0,
    "edit": 0.9,
    "better_answer": 0.9,
    "up_vs_down": 0.7,
    "regen_then_up": 0.7,
    "thumb": 0.7,
    "approved": 0.7,
    "both_bad": 0.6,
}
# A corrected reply makes a pair when this share of its words changed: less says too little, more is another answer.
SMALLEST_EDIT, LARGEST_EDIT = 0.02, 0.8
# A reply of a pair that has more than so many times the words of the other is much longer, the other much shorter.
MUCH_LONGER = 1.5
# A reply must have stood there, finished, for so long before it was written again, and have been in view for as long:
# less is no judgement of it.
SHORTEST_STAND_MS = 3_000


@dataclass(frozen=True)
class Edit:
    """Which characters of a reply are wrong and what would be right, which is never empty."""

    start: int
    end: int
    right_text: str


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
    agreement: float
    ideal_text: str
    content: str
    weight: float = 1.0
    corrections: tuple[Edit, ...] = ()
    correction_ids: tuple[uuid.UUID, ...] = ()
    # What the better answer was made from: a reply to the same question, or a correction.
    ideal_from: uuid.UUID | None = None
    # Whether the person marked words as wrong and said no more of them.
    has_marks: bool = False

    @property
    def speaks_for_reply(self) -> bool:
        """Whether it says that the reply is good as it stands: whoever rates it up and names wrong words does not."""
        return self.is_up and not self.has_marks and not self.correction_ids

    @property
    def is_corrected_throughout(self) -> bool:
        """Whether nothing that the person calls wrong is left once the corrections are in it."""
        is_rewritten = any((edit.start, edit.end) == (0, len(self.content)) for edit in self.corrections)
        return is_rewritten or (not self.has_marks and len(self.corrections) == len(self.correction_ids))

    @property
    def sources(self) -> tuple[uuid.UUID, ...]:
        """The rating, and what its better answer was made from."""
        if self.ideal_text:
            return (self.event_id, *([self.ideal_from] if self.ideal_from else []))
        return (self.event_id, *self.correction_ids)

    @property
    def corrected(self) -> str:
        """The reply with its corrections in it; as it is where there are none.

        A correction of the whole reply stands for all, the latest of them. Of those that overlap the later counts.
        """
        whole = [edit for edit in self.corrections if (edit.start, edit.end) == (0, len(self.content))]
        if whole:
            return whole[-1].right_text
        kept: list[Edit] = []
        for edit in reversed(self.corrections):
            if all(edit.end <= other.start or other.end <= edit.start for other in kept):
                kept.append(edit)
        text = self.content
        for edit in sorted(kept, key=lambda edit: edit.start, reverse=True):  # what stands before stays where it is
            text = text[: edit.start] + edit.right_text + text[edit.end :]
        return text


@dataclass(frozen=True)
class Regenerated:
    """A reply that its person had written again, and the one that came in its place (`next_id`).

    `stood_ms` is how long it had been finished then, by the server's clock; None where it was still being written. That
    it was on screen all the while is decided where a release is frozen: `feedback.release.eligibility.SEEN`.
    """

    signal_id: uuid.UUID
    user_id: uuid.UUID
    reply_id: uuid.UUID
    next_id: uuid.UUID
    content: str
    state: str
    finish_reason: str
    stood_ms: int | None

    @property
    def has_stood(self) -> bool:
        """Whole, to its own end: not one that failed, was stopped or cut off, nor a question of the model's."""
        is_whole = self.state == "complete" and self.finish_reason == "stop"
        return is_whole and self.stood_ms is not None and self.stood_ms >= SHORTEST_STAND_MS


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
    # Whose words are in it too: of a pair of two people the one whose reply is `rejected`.
    other_user_id: uuid.UUID | None = None
    other_model: str = ""
    winner: str = ""
    strength: int = 0
    agreement: float = 1.0
    weight: float = 1.0
    # Of a tree what is known of each message beside its text, as JSON; the texts are in `prompt`, in the same order.
    nodes: str = ""

    @property
    def row_id(self) -> str:
        """Names the row by its content alone."""
        said = [self.config, self.prompt, self.chosen, self.rejected, self.label]
        about = [self.rule, RULES_VERSION, self.confidence, self.model_version, self.locale, self.language]
        more = [
            self.n_reviews,
            self.agreement,
            self.reasons,
            self.prompt_form,
            self.weight,
            *([self.nodes] if self.nodes else []),
        ]
        # Two people who vote alike on the same words are two votes.
        vote = [self.other_model, self.winner, self.strength, *map(str, self.source_events if self.winner else ())]
        return _sha256(json.dumps([said, about, more, vote], ensure_ascii=False))

    @property
    def texts(self) -> list[str]:
        """What people and models wrote, the operator's own system prompt left out."""
        return [turn["content"] for turn in self.prompt if turn["role"] != "system"] + [self.chosen, self.rejected]

    @property
    def length_shift(self) -> str:
        """Whether the preferred reply of a pair is much `longer` or `shorter` than the other; empty where neither.

        Learnt from many pairs that lean one way, a model learns the length before anything else.
        """
        if self.config != "preference":
            return ""
        chosen, rejected = (len(_WORD.findall(text)) for text in (self.chosen, self.rejected))
        if chosen > MUCH_LONGER * rejected:
            return "longer"
        return "shorter" if rejected > MUCH_LONGER * chosen else ""

    @property
    def asked(self) -> list[str]:
        """What of the texts came before the replies; of a tree the question that it grows from."""
        return self.texts[:1] if self.nodes else self.texts[:-2]

    @property
    def instructions(self) -> str:
        """What the person wrote into the system prompt; empty where they wrote nothing."""
        return "".join(instructions_in(turn["content"]) for turn in self.prompt if turn["role"] == "system")

    def with_texts(self, texts: list[str], instructions: str) -> Candidate:
        """The same row with these in the places of `self.texts` and `self.instructions`."""
        left = iter(texts)
        prompt = [
            {**turn, "content": turn["content"].removesuffix(self.instructions) + instructions}
            if turn["role"] == "system"
            else {**turn, "content": next(left)}
            for turn in self.prompt
        ]
        return replace(self, prompt=prompt, chosen=next(left), rejected=next(left))


def rows(members: Iterable[Member], prompts: Mapping[uuid.UUID, Prompt]) -> Iterator[Candidate]:
    """All rows that the rules make of these ratings; the same ratings in the same order give the same rows."""
    by_question: dict[tuple[uuid.UUID, uuid.UUID], list[Member]] = defaultdict(list)
    for member in members:
        prompt = prompts[member.reply_id]
        by_question[member.user_id, member.question_id].append(member)
        if member.speaks_for_reply or not member.is_up:
            yield rated_row("unpaired", "thumb", [member], prompt, chosen=member.content, label=member.is_up)
        yield rated_row("prompts", "thumb", [member], prompt)
        if member.ideal_text and member.ideal_text != member.content.strip():
            ideal = member.ideal_text
            yield _better(
                rated_row("preference", "ideal", [member], prompt, chosen=ideal, rejected=member.content), member
            )
            yield _better(rated_row("sft", "ideal", [member], prompt, chosen=ideal), member)
        elif member.is_corrected_throughout and (corrected := member.corrected) != member.content:
            if SMALLEST_EDIT <= edited_share(member.content, corrected) <= LARGEST_EDIT:
                pair = rated_row("preference", "edit", [member], prompt, chosen=corrected, rejected=member.content)
                yield _better(pair, member)
            yield _better(rated_row("sft", "edit", [member], prompt, chosen=corrected), member)
        elif member.speaks_for_reply:
            yield rated_row("sft", "approved", [member], prompt, chosen=member.content)
    for variants in by_question.values():
        yield from _pairs(variants, prompts)


def _better(row: Candidate, member: Member) -> Candidate:
    """The row of a better answer: it goes with what that was made from."""
    return replace(row, source_events=member.sources)


def _pairs(variants: list[Member], prompts: Mapping[uuid.UUID, Prompt]) -> Iterator[Candidate]:
    for up in (member for member in variants if member.speaks_for_reply):
        for down in (member for member in variants if not member.is_up):
            # Honest only when the two differ in what was said and in nothing the model was told.
            if up.content != down.content and prompts[up.reply_id] == prompts[down.reply_id]:
                prompt = prompts[up.reply_id]
                yield rated_row(
                    "preference", "up_vs_down", [up, down], prompt, chosen=up.content, rejected=down.content
                )


def rows_of_regenerations(
    regenerated: Iterable[Regenerated], members: Iterable[Member], prompts: Mapping[uuid.UUID, Prompt]
) -> Iterator[Candidate]:
    """A pair of each reply that was written again after it was seen whole, where the very next one was rated up.

    The signal is among the sources: whoever takes back the earlier reply takes back the pair.
    """
    rated = {(member.user_id, member.reply_id): member for member in members}
    for one in regenerated:
        up = rated.get((one.user_id, one.next_id))
        if up is None or not up.speaks_for_reply or not one.has_stood or not one.content or one.content == up.content:
            continue
        # Honest only when the model was told the same.
        if (prompt := prompts[up.reply_id]) == prompts[one.reply_id]:
            pair = rated_row("preference", "regen_then_up", [up], prompt, chosen=up.content, rejected=one.content)
            yield replace(pair, source_events=(up.event_id, one.signal_id))


def edited_share(before: str, after: str) -> float:
    """How much of the words changed: 0 nothing, 1 everything. A Chinese character is a word."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    return 1 - SequenceMatcher(None, old, new, autojunk=False).ratio()


def rated_row(
    config: str,
    rule: str,
    members: list[Member],
    prompt: Prompt,
    *,
    chosen: str = "",
    rejected: str = "",
    label: bool = True,
) -> Candidate:
    """A row of these ratings, of which the first gave the prompt."""
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
        agreement=min(member.agreement for member in members),
        reasons=tuple(sorted({reason for member in members for reason in member.reasons})),
        prompt_form=prompt.form,
        weight=min(member.weight for member in members),
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
