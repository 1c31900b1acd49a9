"""The seam between the scheduler, which knows requests, and whatever runs the model's arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class Segment:
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

    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        """Run the segments (distinct slots), extending each slot's cache.

        Returns float32 logits [sum of `logits`, vocabulary] in the order of the segments.
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
