"""What a step is made of, and the step that runs while the host still works on the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference.executor.base import LAST_DRAWN, Launched, Segment
from inference.generation import Generation


@dataclass(frozen=True)
class Work:
    """One generation's part in a step."""

    generation: Generation
    segment: Segment
    draft: Sequence[int] = ()
    """Guesses at the end of the segment."""

    @property
    def is_wanted(self) -> bool:
        """The generation has neither ended nor been cancelled since this was launched."""
        return self.generation.slot == self.segment.slot

    @property
    def is_fed_by_the_step_before(self) -> bool:
        """The host did not know the segment's token when it was launched."""
        return self.segment.tokens[0] == LAST_DRAWN


@dataclass(frozen=True)
class StepAhead:
    """A step that was launched and not read: the tokens that it draws are known to the executor alone."""

    works: Sequence[Work]
    launched: Launched

    @property
    def is_wanted(self) -> bool:
        return any(work.is_wanted for work in self.works)
