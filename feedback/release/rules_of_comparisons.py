"""Rows of comparisons: two replies that stood side by side, and what their reader chose.

| rule | config | a row is |
|---|---|---|
| `pairwise` | preference | of two replies seen side by side, the preferred one and the other |
| `vote` | comparisons | both replies and what was chosen, ties and "both are bad" among them |
| `both_bad` | unpaired | each of two replies that somebody called bad |
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from feedback.release.prompts import Prompt
from feedback.release.rules import CONFIDENCE, Candidate

# Both replies must have been in view for so long before a choice between them counts as one.
SHORTEST_LOOK_MS = 500
# The names of the public arena data sets.
WINNERS = {"left": "model_a", "right": "model_b", "tie": "tie", "neither": "tie (bothbad)"}


@dataclass(frozen=True)
class Side:
    """One of two replies that were shown side by side.

    `was_whole` says that it was written to its end, and that its reader's browser had shown it to its end; `look_ms` is
    how long it was in view, where that is known.
    """

    reply_id: uuid.UUID
    content: str
    model_version: str
    was_whole: bool
    look_ms: int | None

    @property
    def was_seen(self) -> bool:
        return self.was_whole and self.look_ms is not None and self.look_ms >= SHORTEST_LOOK_MS


@dataclass(frozen=True)
class Compared:
    """One answered comparison of a release."""

    event_id: uuid.UUID
    user_id: uuid.UUID
    choice: str
    strength: int
    reasons: tuple[str, ...]
    locale: str
    weight: float
    left: Side
    right: Side


def rows_of_comparisons(comparisons: Iterable[Compared], prompts: Mapping[uuid.UUID, Prompt]) -> Iterator[Candidate]:
    """A vote of each comparison, and a pair where one reply won and both were seen whole."""
    for one in comparisons:
        left, right = one.left, one.right
        prompt = prompts[left.reply_id]
        # Honest only when both models were told the same.
        if prompt != prompts[right.reply_id] or not left.content or not right.content:
            continue
        yield replace(
            compared_row("comparisons", "vote", one, prompt, left, right), winner=WINNERS[one.choice], confidence=1.0
        )
        if not (left.was_seen and right.was_seen):
            continue
        if one.choice in ("left", "right") and left.content != right.content:
            won, lost = (left, right) if one.choice == "left" else (right, left)
            yield compared_row("preference", "pairwise", one, prompt, won, lost)
        elif one.choice == "neither":
            for side in (left, right):
                bad = compared_row("unpaired", "both_bad", one, prompt, side, side)
                yield replace(bad, rejected="", other_model="", label=False)


def compared_row(config: str, rule: str, one: Compared, prompt: Prompt, first: Side, second: Side) -> Candidate:
    """A row with the words of one side as `chosen`, and those of the other as `rejected`."""
    return Candidate(
        config=config,
        user_id=one.user_id,
        source_events=(one.event_id,),
        prompt=prompt.messages,
        chosen=first.content,
        rejected=second.content,
        label=True,
        rule=rule,
        confidence=CONFIDENCE.get(rule, 1.0),
        model_version=first.model_version,
        locale=one.locale,
        language="",
        n_reviews=0,
        reasons=one.reasons,
        prompt_form=prompt.form,
        other_model=second.model_version,
        strength=one.strength,
        weight=one.weight,
    )
