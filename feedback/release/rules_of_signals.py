"""Weak rules: rows of what people did with replies and said nothing about. None is made unless it is asked for by name.

| rule | config | a row is |
|---|---|---|
| `regen_no_rating` | preference | a reply that its person used, and the one before it that they had written again |
| `used` | unpaired | a reply that its person copied, shared or went on from, as desirable; never a pair by itself |

Nothing else may speak of these replies (`UNSPOKEN` and `REGENERATED` of `feedback.release.eligibility`): who rates,
corrects or compares says more, and what they say counts alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from feedback.release.prompts import Prompt
from feedback.release.rules import Candidate, Regenerated

WEAK_RULES = ("regen_no_rating", "used")
CONFIDENCE, CONFIDENCE_OF_SEVERAL = 0.2, 0.3


@dataclass(frozen=True)
class Used:
    """A reply, and in which ways its person used it."""

    reply_id: uuid.UUID
    user_id: uuid.UUID
    content: str
    model_version: str
    weight: float
    signal_ids: tuple[uuid.UUID, ...]
    kinds: frozenset[str]


def rows_of_signals(
    used: Iterable[Used],
    regenerated: Iterable[Regenerated],
    prompts: Mapping[uuid.UUID, Prompt],
    wanted: Collection[str],
) -> Iterator[Candidate]:
    """The rows of the weak rules that are `wanted`; each names all signals that it comes of."""
    by_reply = {(one.user_id, one.reply_id): one for one in used}
    if "used" in wanted:
        for one in by_reply.values():
            yield _row("unpaired", "used", one, prompts)
    if "regen_no_rating" in wanted:
        for earlier in regenerated:
            later = by_reply.get((earlier.user_id, earlier.next_id))
            if later is None or not earlier.has_stood or earlier.content in ("", later.content):
                continue
            # Honest only when the model was told the same.
            if prompts[later.reply_id] == prompts[earlier.reply_id]:
                yield _row("preference", "regen_no_rating", later, prompts, earlier)


def _row(
    config: str, rule: str, one: Used, prompts: Mapping[uuid.UUID, Prompt], earlier: Regenerated | None = None
) -> Candidate:
    prompt = prompts[one.reply_id]
    return Candidate(
        config=config,
        user_id=one.user_id,
        source_events=one.signal_ids + ((earlier.signal_id,) if earlier else ()),
        prompt=prompt.messages,
        chosen=one.content,
        rejected=earlier.content if earlier else "",
        label=True,
        rule=rule,
        confidence=CONFIDENCE_OF_SEVERAL if rule == "used" and len(one.kinds) > 1 else CONFIDENCE,
        model_version=one.model_version,
        locale="",
        language="",
        n_reviews=0,
        reasons=(),
        prompt_form=prompt.form,
        weight=one.weight,
    )
