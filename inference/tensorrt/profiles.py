"""The two ways a plan is run: one token for each of many rows, and many tokens for one row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inference.tensorrt.contract import Contract

DECODE, PREFILL = 0, 1
"""Index of each profile in a plan."""
LARGEST_DRAFT = 16
"""Logits wanted from one prefill chunk, at most: more than one is to verify a draft."""


@dataclass(frozen=True)
class Range:
    """The smallest, the most usual and the largest size of a dimension."""

    smallest: int
    usual: int
    largest: int

    def __iter__(self) -> Iterator[int]:
        return iter((self.smallest, self.usual, self.largest))


@dataclass(frozen=True)
class Limits:
    """What a plan is built for: rows of a decode step, tokens of a prefill chunk, tokens of a sequence."""

    max_batch: int
    max_chunk: int
    positions: int

    @property
    def profiles(self) -> tuple[dict[str, Range], dict[str, Range]]:
        """The ranges of `rows`, `tokens` and `logit_rows`, of DECODE and of PREFILL."""
        rows = Range(1, min(16, self.max_batch), self.max_batch)
        one = Range(1, 1, 1)
        decode = {"rows": rows, "tokens": one, "logit_rows": rows}
        drafts = Range(1, 1, min(LARGEST_DRAFT, self.max_chunk))
        prefill = {"rows": one, "tokens": Range(1, min(256, self.max_chunk), self.max_chunk), "logit_rows": drafts}
        return decode, prefill


def add_profiles(builder: Any, config: Any, tensors: Contract, limits: Limits) -> None:
    """Tell the builder's config the sizes that every input takes in either profile."""
    for ranges in limits.profiles:
        profile = builder.create_optimization_profile()
        for spec in (*tensors.step, *tensors.caches):
            smallest, usual, largest = (
                spec.sized(**{name: list(sizes)[index] for name, sizes in ranges.items()}) for index in range(3)
            )
            profile.set_shape(spec.name, smallest, usual, largest)
        config.add_optimization_profile(profile)
