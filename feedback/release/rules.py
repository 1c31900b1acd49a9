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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from feedback.models import Rating
from feedback.release import eligibility
from feedback.release.prompts import Messages, Prompt, Receipt, prompts_of

RULES_VERSION = 2
CONFIGS = ("preference", "unpaired", "sft", "prompts")


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
    reasons = eligibility.judged()
    for reason in reasons.values():
        funnel["ratings"] += 1
        if reason:
            funnel[f"dropped: {reason}"] += 1
    ratings = Rating.objects.select_related("user", "event", "message__reply")
    usable = [rating_id for rating_id, reason in reasons.items() if reason is None]
    return list(ratings.filter(pk__in=usable).order_by("rated_at", "id"))


def rows(ratings: Iterable[Rating]) -> Iterator[Row]:
    """All rows that the rules make of these ratings; the same ratings give the same rows."""
    by_prompt: dict[tuple[uuid.UUID, uuid.UUID | None], list[Rating]] = defaultdict(list)
    ratings = list(ratings)
    prompts = prompts_of({rating.message_id: _receipt(rating) for rating in ratings})
    for rating in ratings:
        prompt = prompts[rating.message_id]
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
        yield from _pairs(variants, prompts)


def _pairs(variants: list[Rating], prompts: Mapping[uuid.UUID, Prompt]) -> Iterator[Row]:
    for up in (rating for rating in variants if rating.value > 0):
        for down in (rating for rating in variants if rating.value < 0):
            if _is_honest(up, down) and prompts[up.message_id] == prompts[down.message_id]:
                yield _row(
                    "preference",
                    "up_vs_down",
                    0.7,
                    [up, down],
                    prompt=prompts[up.message_id],
                    chosen=_reply(up),
                    rejected=_reply(down),
                )


def _is_honest(up: Rating, down: Rating) -> bool:
    """Whether the two differ in what was said."""
    return up.message.content != down.message.content


def _row(config: str, rule: str, confidence: float, ratings: list[Rating], prompt: Prompt, **columns: Any) -> Row:
    first = ratings[0]
    metadata = {
        "rule": rule,
        "rule_version": RULES_VERSION,
        "confidence": confidence,
        "model_version": first.event.snapshot.get("model_version") or "",
        "locale": first.event.locale,
        "n_reviews": len(ratings),
        "reasons": sorted({reason for rating in ratings for reason in rating.reasons}),
        "prompt_form": prompt.form,
    }
    columns = {"prompt": prompt.messages, **columns}
    return Row(config, first.user_id, tuple(rating.event_id for rating in ratings), {**columns, "metadata": metadata})


def _receipt(rating: Rating) -> Receipt:
    reply = rating.message.reply
    return Receipt(reply.system_prompt, reply.prompt_turns, reply.max_tokens)


def _reply(rating: Rating) -> Messages:
    return [{"role": "assistant", "content": rating.message.content}]
