"""The versioned rules that turn reviewed ratings into rows of a data set.

| rule | config | a row is |
|---|---|---|
| `thumb` | unpaired | a reply with its thumb as label (KTO): from an absolute signal only, never from a relative win |
| `up_vs_down` | preference | two replies to the same prompt, one rated up and one down by the same person |
| `ideal` | preference | a reviewer's better answer preferred to the reply it corrects |
| `approved` | sft | a reply rated up, or a reviewer's better answer |
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from accounts.consent import consent_in_force
from chat import tree
from feedback.models import Rating

RULES_VERSION = 1
CONFIGS = ("preference", "unpaired", "sft", "prompts")

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Row:
    """One row before it is frozen. `row_id` depends on its content alone."""

    config: str
    user_id: uuid.UUID
    source_events: tuple[uuid.UUID, ...]
    content: dict[str, Any]

    @property
    def row_id(self) -> str:
        text = json.dumps([self.config, self.content], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def eligible(*, funnel: Counter[str]) -> list[Rating]:
    """The live ratings that may be used, oldest first; counts what was dropped, and why, in `funnel`."""
    kept = []
    ratings = Rating.objects.select_related("user", "event", "message__reply", "message__conversation")
    for rating in ratings.order_by("rated_at", "id"):
        funnel["ratings"] += 1
        if reason := _why_not(rating):
            funnel[f"dropped: {reason}"] += 1
        else:
            kept.append(rating)
    return kept


def _why_not(rating: Rating) -> str | None:
    if rating.decided_event_id is None:
        return "not reviewed"
    if rating.verdict != Rating.Verdict.APPROVED:
        return "rejected"
    if rating.message.conversation.is_temporary or rating.message.conversation.deleted_at:
        return "conversation not kept"
    if not consent_in_force(rating.user, scope="conversation", subject_id=rating.message.conversation_id):
        return "no consent"
    return None


def rows(ratings: Iterable[Rating]) -> Iterator[Row]:
    """All rows that the rules make of these ratings; the same ratings give the same rows."""
    by_prompt: dict[tuple[uuid.UUID, uuid.UUID | None], list[Rating]] = defaultdict(list)
    for rating in ratings:
        prompt = _prompt(rating)
        by_prompt[rating.user_id, rating.message.parent_id].append(rating)
        yield _row("unpaired", "thumb", 0.7, [rating], prompt=prompt, completion=_reply(rating), label=rating.value > 0)
        yield _row("prompts", "thumb", 1.0, [rating], prompt=prompt)
        if rating.ideal_text and rating.ideal_text != rating.message.content.strip():
            ideal = [{"role": "assistant", "content": rating.ideal_text}]
            yield _row("preference", "ideal", 1.0, [rating], prompt=prompt, chosen=ideal, rejected=_reply(rating))
            yield _row("sft", "ideal", 1.0, [rating], prompt=prompt, completion=ideal)
        elif rating.value > 0:
            yield _row("sft", "approved", 0.7, [rating], prompt=prompt, completion=_reply(rating))
    for variants in by_prompt.values():
        yield from _pairs(variants)


def _pairs(variants: list[Rating]) -> Iterator[Row]:
    for up in (rating for rating in variants if rating.value > 0):
        for down in (rating for rating in variants if rating.value < 0):
            if _is_honest(up, down):
                yield _row(
                    "preference",
                    "up_vs_down",
                    0.7,
                    [up, down],
                    prompt=_prompt(up),
                    chosen=_reply(up),
                    rejected=_reply(down),
                )


def _is_honest(up: Rating, down: Rating) -> bool:
    """Whether the two differ in what was said and in nothing the model was told."""
    return (
        up.message.content != down.message.content
        and up.message.reply.system_prompt == down.message.reply.system_prompt
    )


def _row(config: str, rule: str, confidence: float, ratings: list[Rating], **columns: Any) -> Row:
    first = ratings[0]
    metadata = {
        "rule": rule,
        "rule_version": RULES_VERSION,
        "confidence": confidence,
        "model_version": first.event.snapshot.get("model_version") or "",
        "locale": first.event.locale,
        "n_reviews": len(ratings),
        "reasons": sorted({reason for rating in ratings for reason in rating.reasons}),
    }
    return Row(config, first.user_id, tuple(rating.event_id for rating in ratings), {**columns, "metadata": metadata})


def _prompt(rating: Rating) -> Messages:
    """What the model was shown, the system prompt spelled out so that training and serving see the same."""
    answer = rating.message
    assert answer.parent_id is not None  # noqa: S101 - the database refuses a reply without a prompt
    path = tree.path_messages(conversation_id=answer.conversation_id, leaf_id=answer.parent_id)
    system = [{"role": "system", "content": answer.reply.system_prompt}] if answer.reply.system_prompt else []
    return system + [{"role": message.role, "content": message.content} for message in path if message.content]


def _reply(rating: Rating) -> Messages:
    return [{"role": "assistant", "content": rating.message.content}]
