"""Weights of 4 bits: in blocks of neighbouring inputs, each with the worth of one and an offset of its own.

A weight is offset + scale * code, with codes from -8 to 7. Of files whose weights are stored so (GGUF's Q4_1), nothing
is lost; the network multiplies the offsets by the sums of each block's inputs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from inference.tensorrt.contract import BLOCK

LOWEST, STEPS = -8, 15
SMALLEST_SCALE = 1e-8


class FourBits(NamedTuple):
    """A matrix: codes [inputs, outputs] from -8 to 7, `scale` and `offset` [blocks, outputs]."""

    codes: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor


def in_four_bits(matrix: torch.Tensor) -> FourBits:
    """[outputs, inputs], each block from its least to its largest weight in 15 equal steps."""
    outputs, inputs = matrix.shape
    blocks = matrix.float().t().reshape(inputs // BLOCK, BLOCK, outputs)
    least, largest = blocks.amin(1), blocks.amax(1)
    scale = ((largest - least) / STEPS).clamp(min=SMALLEST_SCALE)
    steps = ((blocks - least.unsqueeze(1)) / scale.unsqueeze(1)).round().clamp(0, STEPS)
    return FourBits((steps + LOWEST).to(torch.int8).flatten(0, 1), scale, least - LOWEST * scale)


def packed(codes: torch.Tensor) -> torch.Tensor:
    """[inputs, outputs] two to a byte, the first in the low half, as TensorRT reads them."""
    first, second = (codes[:, start::2] & 15 for start in (0, 1))
    return (first | second << 4).to(torch.uint8)


def unpacked(halves: torch.Tensor) -> torch.Tensor:
    """What `packed` was given."""
    pairs = torch.stack([halves & 15, halves >> 4], dim=-1).flatten(-2).to(torch.int8)
    return torch.where(pairs > 7, pairs - 16, pairs)
