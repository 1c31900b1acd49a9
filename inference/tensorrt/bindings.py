"""Where each tensor of a launch lies: pure arithmetic on shapes, strides and addresses, with nothing of a GPU in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod

from inference.executor.base import Segment
from inference.tensorrt.contract import Contract, TensorSpec
from inference.tensorrt.profiles import DECODE, PREFILL, Limits

SMALLEST_BATCH = 1


@dataclass(frozen=True)
class Launch:
    """One run of a plan: which profile, which slots its rows are, and the numbers that change with every step.

    `rows` neighbouring slots from `first_slot` on take part; a row whose slot has nothing to do runs one token that is
    written to the spare end of its cache, where nobody looks. `wanted` are the logit rows that somebody asked for.
    """

    profile: int
    first_slot: int
    token_ids: tuple[tuple[int, ...], ...]
    positions: tuple[tuple[int, ...], ...]
    write_indices: tuple[int, ...]
    kv_lengths: tuple[int, ...]
    logit_indices: tuple[int, ...]
    wanted: tuple[tuple[int, int], ...]
    """(index of the segment, row of this launch's logits), in the order of the segments."""

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


def launches(segments: Sequence[Segment], limits: Limits, capacity: int) -> Iterator[Launch]:
    """What to run for `segments`: all single tokens at once, then each longer segment in chunks that fit."""
    single = [(index, segment) for index, segment in enumerate(segments) if len(segment.tokens) == 1]
    if single:
        yield _decode(single, limits, capacity)
    for index, segment in enumerate(segments):
        if len(segment.tokens) > 1:
            yield from _prefill(index, segment, limits)


def _decode(single: Sequence[tuple[int, Segment]], limits: Limits, capacity: int) -> Launch:
    """One token a row over slots 0 up to the last one busy, rounded up to a size that a graph was made for."""
    needed = max(segment.slot for _, segment in single) + 1
    rows = next(size for size in batch_sizes(limits.max_batch) if size >= needed)
    tokens, positions, lengths, writes = [0] * rows, [0] * rows, [1] * rows, [capacity - 1] * rows
    wanted = []
    for index, (slot, start, (token,), logits) in single:
        tokens[slot], positions[slot], writes[slot], lengths[slot] = token, start, start, start + 1
        if logits:
            wanted.append((index, slot))
    return Launch(
        profile=DECODE,
        first_slot=0,
        token_ids=tuple(zip(tokens)),  # rows of one
        positions=tuple(zip(positions)),
        write_indices=tuple(writes),
        kv_lengths=tuple(lengths),
        logit_indices=tuple(range(rows)),
        wanted=tuple(wanted),
    )


def _prefill(index: int, segment: Segment, limits: Limits) -> Iterator[Launch]:
    count = len(segment.tokens)
    for first in range(0, count, limits.max_chunk):
        chunk = tuple(segment.tokens[first : first + limits.max_chunk])
        start, end = segment.start + first, segment.start + first + len(chunk)
        # The last tokens of the segment whose logits are wanted, as places in this chunk.
        indices = tuple(place for place in range(len(chunk)) if first + place >= count - segment.logits)
        yield Launch(
            profile=PREFILL,
            first_slot=segment.slot,
            token_ids=(chunk,),
            positions=(tuple(range(start, end)),),
            write_indices=(start,),
            kv_lengths=(end,),
            logit_indices=indices or (len(chunk) - 1,),
            wanted=tuple((index, row) for row in range(len(indices))),
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
class PackedStep:
    """The numbers of one launch in one row of int32, so that a step is one copy to the device."""

    values: tuple[int, ...]
    parts: dict[str, Part]


def pack(launch: Launch, tensors: Contract) -> PackedStep:
    """Equal sizes give equal offsets, so a recorded graph finds its numbers where they were."""
    values: list[int] = []
    parts = {}
    step = ADDRESS_STEP // INTEGER
    for spec in tensors.step:
        values.extend([0] * (-len(values) % step))
        parts[spec.name] = Part(len(values), spec.sized(**launch.sizes))
        given = getattr(launch, spec.name)
        values.extend(chain.from_iterable(given) if isinstance(given[0], tuple) else given)
    return PackedStep(tuple(values), parts)


def packed_size(tensors: Contract, limits: Limits) -> int:
    """Integers that the largest launch takes."""
    step = ADDRESS_STEP // INTEGER
    largest = 0
    for ranges in limits.profiles:
        sizes = {name: size.largest for name, size in ranges.items()}
        counts = [prod(spec.sized(**sizes)) for spec in tensors.step]
        largest = max(largest, sum(-(-count // step) * step for count in counts))
    return largest


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Elements from one index to the next along each axis of a dense tensor."""
    result = [1] * len(shape)
    for axis in reversed(range(len(shape) - 1)):
        result[axis] = result[axis + 1] * shape[axis + 1]
    return tuple(result)


def slot_bytes(cache: TensorSpec) -> int:
    """Bytes of one slot in one cache tensor."""
    size = cache.dtype.itemsize
    for dimension in cache.shape[1:]:
        size *= int(dimension)
    return size


@dataclass(frozen=True)
class Region:
    """`size` bytes from `offset` on, in the buffer of the tensor called `buffer`."""

    buffer: str
    offset: int
    size: int


def cache_regions(tensors: Contract, launch: Launch) -> dict[str, Region]:
    """Where the launch's rows lie in each cache buffer; an updated cache is its input, in place."""
    regions = {}
    for spec in tensors.caches:
        size = slot_bytes(spec)
        region = Region(spec.name, launch.first_slot * size, launch.rows * size)
        regions[spec.name] = region
        regions[f"{spec.name}.updated"] = region
    return regions
