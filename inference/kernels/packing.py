"""Chooses how each matrix of a model is packed, and hands its rows to the library in the order the kernels want."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from inference.kernels.native import Format, Source
from inference.weights import GGUFWeights, WeightSource, unpermute

GROUP = 32
RAW_TYPES = {"Q4_0": Source.Q4_0, "Q4_1": Source.Q4_1, "Q8_0": Source.Q8_0}
BLOCK_BYTES = {"Q4_0": 18, "Q4_1": 20, "Q8_0": 34}
FOUR_BIT_TYPES = ("Q4_0", "Q4_1")

Order = NDArray[np.int32]


@dataclass(frozen=True)
class Rows:
    """Weights of some outputs as they come from the file: `data` is [rows, bytes]; row i is for output `targets[i]`."""

    source: Source
    data: NDArray[np.uint8]
    targets: Order
    inputs: int


def format_of(source: WeightSource, names: Sequence[str], wanted: Format | None) -> Format:
    """The format for a matrix made of the tensors `names`: what the file has if it is quantised, or else `wanted`."""
    if wanted is not None:
        return wanted
    return Format.FOUR_BIT if all(_gguf_type(source, name) in FOUR_BIT_TYPES for name in names) else Format.EIGHT_BIT


def rows_of(source: WeightSource, name: str, order: Callable[[int], Order]) -> Rows:
    """The rows of tensor `name`: raw where the library reads the file's blocks, else in float32.

    `order` gives the outputs that so many rows are for.
    """
    kind = _gguf_type(source, name)
    if isinstance(source, GGUFWeights) and kind in RAW_TYPES:
        raw = source.file.raw(source.stored_name(name))
        targets = order(len(raw))
        heads = source.permuted_heads(name)
        if heads:  # move the targets instead of the rows: the raw bytes stay where they are in the file
            moved = np.empty_like(targets)
            moved[unpermute(torch.arange(len(targets)), heads).numpy()] = targets
            targets = moved
        return Rows(RAW_TYPES[kind], np.ascontiguousarray(raw), targets, raw.shape[1] // BLOCK_BYTES[kind] * GROUP)
    weight = np.ascontiguousarray(source.load(name).float().numpy())
    return Rows(Source.FLOAT32, weight.view(np.uint8), order(len(weight)), weight.shape[1])


def in_order(start: int) -> Callable[[int], Order]:
    """Targets for rows that follow one another from output `start` on."""
    return lambda count: np.arange(start, start + count, dtype=np.int32)


def in_turns(offset: int) -> Callable[[int], Order]:
    """Targets for gate (offset 0) and up (offset 1): 32 rows of one, then 32 of the other."""

    def order(count: int) -> Order:
        rows = np.arange(count, dtype=np.int32)
        return (rows // GROUP * 2 + offset) * GROUP + rows % GROUP

    return order


def _gguf_type(source: WeightSource, name: str) -> str:
    """The GGUF type of a tensor, or an empty name for other files and absent tensors."""
    if not isinstance(source, GGUFWeights) or name not in source.names():
        return ""
    return source.file.tensors[source.stored_name(name)].type_name
