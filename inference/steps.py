"""What a step is made of: which of the running replies take part in it, and with which tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from inference.drafting import Drafter
from inference.executor.base import Launched, Segment
from inference.generation import Generation

SHORT_SHARE = 8
"""One part in so many of a chunk is for prompts that stood still for too long, while a better one is computed; and that
is all of a step in which nobody better takes part, for as long as better ones keep coming: such steps get done."""
LONGEST_PAUSE = 1.0
"""Seconds that a running reply stands still for prompts of better priority before it takes part in a step again."""
NO_PROMPT = 1 << 31
"""Worse than any priority: without a prompt to compute nobody stands still."""


@dataclass(frozen=True)
class StepLimits:
    """`chunk` is the number of prompt tokens in one step.

    While at most `drafting_replies` are being made, each step also checks up to `draft_tokens` guesses for each.
    """

    chunk: int = 256
    draft_tokens: int = 0
    drafting_replies: int = 2


class Work(NamedTuple):
    """One generation's part in a step."""

    generation: Generation
    segment: Segment
    draft: Sequence[int] = ()
    """Guesses at the end of the segment."""

    @property
    def is_wanted(self) -> bool:
        """The generation has neither ended nor been cancelled since this was launched."""
        return self.generation.slot == self.segment.slot


@dataclass(frozen=True)
class StepAhead:
    """A step that was launched and not read, while the host works on the one before it.

    The tokens that it draws are known to the executor alone.
    """

    works: Sequence[Work]
    fed: Sequence[Generation]
    launched: Launched

    @property
    def is_wanted(self) -> bool:
        running = (generation.slot is not None for generation in self.fed)
        return any(running) or any(work.is_wanted for work in self.works)

    def count_unread(self, change: int) -> None:
        """It was launched, or is being read: so many tokens more of each reply in it are not known here."""
        for generation, segment, _ in self.works:
            generation.unread += change * segment.logits
        for generation in self.fed:
            generation.unread += change


@dataclass(frozen=True)
class Plan:
    """A step: what each takes part with, and the best priority of the prompts, for which worse ones stand still.

    Those in `fed` each run the one token that the step before draws, and the host does not know yet. For `repeats`
    steps more the plan is the same, as long as nobody begins or ends.
    """

    works: list[Work]
    fed: list[Generation]
    best: int = NO_PROMPT

    @property
    def repeats(self) -> int:
        if self.works or not self.fed or self.best != NO_PROMPT:
            return 0
        return min(_unlaunched(generation) for generation in self.fed) - 1

    def note_who_stood_still(self, running: Sequence[Generation], now: float) -> None:
        """To be called when the step, begun at `now`, was done."""
        if self.best == NO_PROMPT:
            for generation in running:
                generation.let_by_since = None
            return
        part = {id(generation) for generation in (*self.fed, *[work.generation for work in self.works])}
        for generation in running:
            if generation.order.priority <= self.best or id(generation) in part:
                generation.let_by_since = None
            else:
                generation.stands_still(now)


def is_due(generation: Generation, now: float) -> bool:
    """It has stood still for so long that nobody is let by any more."""
    return generation.let_by_since is not None and now - generation.let_by_since >= LONGEST_PAUSE


def plan_step(running: Sequence[Generation], limits: StepLimits, now: float, *, may_draft: bool) -> Plan:
    """Every decoding reply, then prompts while the chunk lasts, the best first, without those that give way."""
    known = [generation for generation in running if not generation.unread]
    prompts = [generation for generation in known if not generation.is_decoding]
    if not prompts:
        return Plan(list(_decoding(known, limits, may_draft=may_draft)), _fed(running))
    best = min(generation.order.priority for generation in prompts)
    going = [each for each in running if each.order.priority <= best or is_due(each, now)]
    decoding = [generation for generation in going if generation.is_decoding and not generation.unread]
    waiting = [generation for generation in going if not generation.is_decoding]
    computing = _computing(waiting, limits.chunk, best)
    return Plan([*_decoding(decoding, limits, may_draft=may_draft), *computing], _fed(going), best)


def _fed(going: Sequence[Generation]) -> list[Generation]:
    """Those of whom something drawn was not read yet, and who go on with it."""
    return [each for each in going if each.unread and _unlaunched(each) > 0]


def _unlaunched(generation: Generation) -> int:
    """How many of its tokens, at most, no step was launched for yet."""
    return generation.most_ahead - generation.produced - generation.unread


def _decoding(decoding: Sequence[Generation], limits: StepLimits, *, may_draft: bool) -> Iterator[Work]:
    drafts = may_draft and len(decoding) <= limits.drafting_replies
    for generation in decoding:
        draft = _draft(generation, limits) if drafts else []
        yield Work(generation, _segment(generation, generation.uncomputed, draft), draft)


def _computing(waiting: Sequence[Generation], chunk: int, best: int) -> Iterator[Work]:
    due = [generation for generation in waiting if generation.order.priority > best]
    first = [generation for generation in waiting if generation.order.priority <= best]
    short = max(1, chunk // SHORT_SHARE)
    room = short if any(generation.let_by_since is not None for generation in first) else chunk
    kept = short if due else 0
    for generation in (*first, *sorted(due, key=lambda each: each.let_by_since or 0.0)):
        count = min(room if generation in due else room - kept, generation.uncomputed)
        room -= count
        if count:
            yield Work(generation, _segment(generation, count))


def _draft(generation: Generation, limits: StepLimits) -> list[int]:
    if not limits.draft_tokens:
        return []
    if generation.drafter is None:
        generation.drafter = Drafter(limits.draft_tokens)
    room = generation.order.max_tokens - generation.produced - 1
    return generation.drafter.draft(generation.tokens, room=room)


def _segment(generation: Generation, count: int, draft: Sequence[int] = ()) -> Segment:
    start, end = generation.computed, generation.computed + count
    assert generation.slot is not None  # noqa: S101 - a running generation has a slot
    is_last = end == len(generation.tokens)
    tokens = [*generation.tokens[start:end], *draft]
    return Segment(generation.slot, start, tokens, logits=int(is_last) + len(draft))
