"""The fast executor for CPUs: the whole forward pass in our own C++ (inference/kernels), 4- and 8-bit weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from inference.executor.base import Segment
from inference.kernels.decoder import FusedDecoder
from inference.kernels.native import Format
from inference.weights import WeightSource

FORMATS: dict[str, Format | None] = {"quantised": None, "int8": Format.EIGHT_BIT, "bfloat16": Format.BFLOAT16}
"""By precision: GGUF's own 4- and 8-bit numbers (8-bit for other files), 8-bit, or bfloat16 weights."""


class FusedExecutor:
    """Runs a decoder over slots in one call of the library a step.

    A reply does not depend on what else is in the batch, to the last bit: see FusedDecoder.
    """

    def __init__(
        self, source: WeightSource, *, slots: int, positions: int, threads: int, precision: str = "quantised"
    ) -> None:
        """Raises KernelsUnavailableError or UnsupportedModelError when another executor must serve this model."""
        self.slots = slots
        self.positions = positions
        self.vocabulary = source.config.vocabulary
        self._decoder = FusedDecoder(
            source, slots=slots, positions=positions, threads=threads, weight_format=FORMATS[precision]
        )
        self.precision = f"{precision}-{self._decoder.instruction_set}"

    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        counts = [len(segment.tokens) for segment in segments]
        tokens = np.fromiter((token for segment in segments for token in segment.tokens), np.int32, sum(counts))
        slots = np.repeat(np.array([segment.slot for segment in segments], dtype=np.int32), counts)
        ends = np.cumsum(counts)
        if len(segments) == len(tokens):
            positions = np.array([segment.start for segment in segments], dtype=np.int32)
        else:
            positions = np.concatenate([np.arange(segment.start, segment.end) for segment in segments])
        wanted = [row for segment, end in zip(segments, ends, strict=True) for row in range(end - segment.logits, end)]
        return self._decoder.forward(tokens, slots, positions, np.array(wanted, dtype=np.int32))

    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        self._decoder.copy_prefix(source=source, target=target, length=length)

    def release(self, slot: int, *, keep: int = 0) -> None:
        self._decoder.release(slot, keep=keep)

    def close(self) -> None:
        self._decoder.close()
