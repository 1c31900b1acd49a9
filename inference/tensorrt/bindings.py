"""What a step runs and where its numbers lie: pure arithmetic on slots, rows and offsets, without anything of a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from inference.executor.base import NOBODY_FED, Fed, Segment
from inference.tensorrt.contract import Contract
from inference.tensorrt.profiles import DECODE, PREFILL, Limits

SMALLEST_BATCH = 1
LAST_DRAWN = -1
"""In place of a token's id: what the slot's last launched step drew, which the host need not know."""
Numbers = NDArray[np.int32]
GROWING = ("positions", "write_indices", "kv_lengths")
"""What is one more in the next step, of every row that runs its slot's last token."""


@dataclass(eq=False)
class Launch:
    """One run of a plan: which profile, which slots its rows are, and the numbers that change with every step.

    `rows` neighbouring slots from `first_slot` on take part; a row whose slot has nothing to do runs one token that is
    written to the spare end of its cache, where nobody looks. `wanted` are the logit rows that somebody asked for.
    """

    profile: int
    first_slot: int
    token_ids: Numbers
    """[rows, tokens], as `positions`; `write_indices` and `kv_lengths` are [rows], `logit_indices` [logit rows]."""
    positions: Numbers
    write_indices: Numbers
    kv_lengths: Numbers
    logit_indices: Numbers
    wanted: Sequence[tuple[int, int]]
    """(index of the segment, row of this launch's logits), in the order of the segments."""
    fed: Sequence[int] = ()
    """The rows that run what their slots drew last, in the order in which they were given."""
    has_known: bool = True
    """Some row runs a token that the host knows, which must not be lost."""

    @property
    def rows(self) -> int:
        return len(self.token_ids)

    @property
    def tokens(self) -> int:
        return len(self.token_ids[0])

    @property
    def sizes(self) -> dict[str, int]:
        return {"rows": self.rows, "tokens": self.tokens, "logit_rows": len(self.logit_indices)}


def batch_sizes(slots: int) -> tuple[int, ...]:
    """The row counts that decode steps are padded to, one CUDA graph each: powers of two, and all slots."""
    sizes = [SMALLEST_BATCH]
    while sizes[-1] * 2 < slots:
        sizes.append(sizes[-1] * 2)
    return tuple(sizes) if sizes[-1] == slots else (*sizes, slots)


def batch_size_for(rows: int, slots: int) -> int:
    """The smallest of `batch_sizes(slots)` that holds so many rows."""
    return min(1 << (rows - 1).bit_length(), slots)


def launches(segments: Sequence[Segment], limits: Limits, capacity: int, fed: Fed = NOBODY_FED) -> Iterator[Launch]:
    """What to run for `fed` and `segments`: all single tokens at once, then each longer segment in chunks that fit."""
    single = [(index, segment) for index, segment in enumerate(segments) if len(segment.tokens) == 1]
    if single or fed.slots:
        yield _decode(single, fed, limits, capacity)
    for index, segment in enumerate(segments):
        if len(segment.tokens) > 1:
            yield from _prefill(index, segment, limits)


def _decode(single: Sequence[tuple[int, Segment]], fed: Fed, limits: Limits, capacity: int) -> Launch:
    """One token a row over slots 0 up to the last one busy, rounded up to a size that a graph was made for."""
    slots = [*fed.slots, *[segment.slot for _, segment in single]]
    at = np.array(slots)
    starts = np.array([*fed.positions, *[segment.start for _, segment in single]], np.int32)
    rows = batch_size_for(max(slots) + 1, limits.max_batch)
    numbers = np.zeros((5, rows), np.int32)
    numbers[2], numbers[3] = capacity - 1, 1  # of a row with nothing to do
    numbers[4] = np.arange(rows)
    numbers[0, at] = LAST_DRAWN
    for _, segment in single:
        numbers[0, segment.slot] = segment.tokens[0]
    numbers[1, at] = numbers[2, at] = starts
    numbers[3, at] = starts + 1
    return Launch(
        profile=DECODE,
        first_slot=0,
        token_ids=numbers[0, :, None],
        positions=numbers[1, :, None],
        write_indices=numbers[2],
        kv_lengths=numbers[3],
        logit_indices=numbers[4],
        wanted=[(index, segment.slot) for index, segment in single if segment.logits],
        fed=fed.slots,
        has_known=bool(single),
    )


def _prefill(index: int, segment: Segment, limits: Limits) -> Iterator[Launch]:
    count = len(segment.tokens)
    for first in range(0, count, limits.max_chunk):
        chunk = segment.tokens[first : first + limits.max_chunk]
        start, end = segment.start + first, segment.start + first + len(chunk)
        # The last tokens of the segment whose logits are wanted, as places in this chunk.
        indices = [place for place in range(len(chunk)) if first + place >= count - segment.logits]
        yield Launch(
            profile=PREFILL,
            first_slot=segment.slot,
            token_ids=np.array([chunk], np.int32),
            positions=np.arange(start, end, dtype=np.int32)[None],
            write_indices=np.array([start], np.int32),
            kv_lengths=np.array([end], np.int32),
            logit_indices=np.array(indices or [len(chunk) - 1], np.int32),
            wanted=[(index, row) for row in range(len(indices))],
        )


ADDRESS_STEP = 256
"""Bytes: TensorRT wants the address of every tensor to be a multiple of this."""
INTEGER = 4


@dataclass(frozen=True)
class Part:
    """`shape` integers from the `offset`-th on."""

    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Where the numbers of launches of equal sizes lie in one row of `size` int32, so that a step is one copy.

    Equal sizes give equal offsets, so a recorded graph finds its numbers where they were.
    """

    parts: dict[str, Part]
    size: int

    def pack(self, launch: Launch) -> Numbers:
        """The launch's numbers, in a row."""
        row = np.zeros(self.size, np.int32)
        for name, part in self.parts.items():
            numbers = getattr(launch, name)
            row[part.offset : part.offset + numbers.size] = numbers.ravel()
        return row

    def growth(self, launch: Launch) -> Numbers:
        """What a decode launch of `fed` alone differs by from the same one token on, in a row as `pack`'s."""
        row = np.zeros(self.size, np.int32)
        for name in GROWING:
            row[self.parts[name].offset + np.array(launch.fed)] = 1
        return row


def layout(sizes: Mapping[str, int], tensors: Contract) -> Layout:
    """For launches of `sizes`."""
    parts, size = {}, 0
    step = ADDRESS_STEP // INTEGER
    for spec in tensors.step:
        part = Part(-(-size // step) * step, spec.sized(**sizes))
        parts[spec.name] = part
        size = part.offset + prod(part.shape)
    return Layout(parts, size)


def packed_size(tensors: Contract, limits: Limits) -> int:
    """Integers that the largest launch takes."""
    step = ADDRESS_STEP // INTEGER
    largest = 0
    for ranges in limits.profiles:
        sizes = {name: size.largest for name, size in ranges.items()}
        counts = [prod(spec.sized(**sizes)) for spec in tensors.step]
        largest = max(largest, sum(-(-count // step) * step for count in counts))
    return largest
