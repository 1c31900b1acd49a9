"""The seam between the scheduler, which knows requests, and whatever runs the model's arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from inference.sampling import Mask, SamplingParameters, TokenLogprob


class Segment(NamedTuple):
    """Consecutive tokens of one slot to run through the model in this step.

    `start` is the position of the first of `tokens`; all positions before it are already in the slot's cache.
    `logits` says for how many of the last tokens the caller wants logits: 0 for a prefill chunk that is not the last,
    1 to decode, more to verify a draft.
    """

    slot: int
    start: int
    tokens: Sequence[int]
    logits: int = 1

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)


class StepInterrupted(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """A step was given up halfway. The slots hold what they held before it, and the same step may be done later."""


class Interruption:
    """A word that one thread writes while another computes: give the step up."""

    def __init__(self) -> None:
        self._word: NDArray[np.int32] = np.zeros(1, np.int32)

    @property
    def address(self) -> int:
        """Where the word lies in memory, for code that is not Python."""
        return self._word.ctypes.data

    @property
    def is_asked(self) -> bool:
        return bool(self._word[0])

    def ask(self) -> None:
        self._word[0] = 1

    def forget(self) -> None:
        self._word[0] = 0


def logit_rows(segments: Sequence[Segment]) -> list[int]:
    """Which tokens of the flat batch have their logits wanted."""
    rows: list[int] = []
    end = 0
    for segment in segments:
        end += len(segment.tokens)
        rows.extend(range(end - segment.logits, end))
    return rows


class Executor(Protocol):
    """Runs steps over a fixed number of slots. Not thread-safe: one engine thread owns it."""

    slots: int
    positions: int
    """Tokens a slot can hold."""
    vocabulary: int
    precision: str
    """What the arithmetic is done in, in words for people: `bfloat16`, `float32`, ..."""

    def forward(self, segments: Sequence[Segment], interruption: Interruption | None = None) -> torch.Tensor:
        """Run the segments (distinct slots), extending each slot's cache.

        Returns float32 logits [sum of `logits`, vocabulary] in the order of the segments. May raise StepInterrupted
        soon after the interruption is asked for; where a step is short anyway, it is finished instead.
        """
        ...

    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of one slot's cache over another's."""
        ...

    def release(self, slot: int, *, keep: int = 0) -> None:
        """Give back the memory of a slot's cache beyond the first `keep` tokens."""
        ...

    def close(self) -> None:
        """Give back all memory; the executor is not used afterwards."""
        ...


Drawn = tuple[int, TokenLogprob | None]


class Fed(NamedTuple):
    """Slots (distinct) that each run the one token that their last launched step drew, at its position.

    The host need not know that token yet. All of them want another.
    """

    slots: Sequence[int] = ()
    positions: Sequence[int] = ()


NOBODY_FED = Fed()


class Launched(Protocol):
    """A step that is running or done."""

    def read(self) -> Sequence[Drawn | None]:
        """Wait for the step: the tokens of segments that wanted logits, then of `fed`; None where none can come."""
        ...


@runtime_checkable
class DrawingExecutor(Executor, Protocol):
    """An executor that also chooses the tokens, where the logits are, so that a step need not wait for the host.

    Steps run in the order of their launches, each to its end before the next. So a step may be launched before the one
    before it was read; and what a step does to a slot that was given up meanwhile is overwritten by whoever gets it.
    """

    def begin(self, slot: int, parameters: SamplingParameters, prompt: Sequence[int]) -> None:
        """From now on `slot` holds a new reply to `prompt`, which is sampled so."""
        ...

    def launch(self, segments: Sequence[Segment], fed: Fed, allowed: Mapping[int, Mask]) -> Launched:
        """Start a step that draws a token for each segment that wants logits (of its last token only), and for `fed`.

        `allowed` holds, by slot, which tokens may come, where not all may.
        """
        ...

    def launch_next(self) -> Launched:
        """The same again, one token on: after a launch of `fed` alone, and with nothing else done since."""
        ...
