"""The executor for CPUs with a compiler: the whole forward pass in our own C++ kernels.

A row's logits do not depend on its company, to the last bit, so that a seed gives the same reply in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from inference.executor.base import Interruption, Segment, logit_rows
from inference.kernels.decoder import FusedDecoder
from inference.kernels.native import Format
from inference.weights import WeightSource


class FusedExecutor:
    """Runs a FusedDecoder over slots."""

    def __init__(self, source: WeightSource, *, slots: int, positions: int, threads: int, quantised: bool) -> None:
        """`quantised` keeps 4- and 8-bit weights as they are and rounds activations to 8 bits: faster, less exact."""
        self.slots = slots
        self.positions = positions
        self.vocabulary = source.config.vocabulary
        self._decoder = FusedDecoder(
            source,
            slots=slots,
            positions=positions,
            threads=threads,
            weight_format=None if quantised else Format.BFLOAT16,
        )
        self.draw = self._decoder.draw
        """A `sampling.Draw`."""
        self.precision = f"{'quantised' if quantised else 'bfloat16'}-fused-{self._decoder.instruction_set}"

    def forward(self, segments: Sequence[Segment], interruption: Interruption | None = None) -> torch.Tensor:
        counts = [len(segment.tokens) for segment in segments]
        tokens = np.fromiter((token for segment in segments for token in segment.tokens), np.int32, sum(counts))
        slots = np.repeat(np.array([segment.slot for segment in segments], np.int32), counts)
        positions = np.concatenate([np.arange(segment.start, segment.end, dtype=np.int32) for segment in segments])
        wanted = np.array(logit_rows(segments), np.int32)
        return self._decoder.forward(tokens, slots, positions, wanted, interruption)

    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        self._decoder.copy_prefix(source=source, target=target, length=length)

    def release(self, slot: int, *, keep: int = 0) -> None:
        self._decoder.release(slot, keep=keep)

    def close(self) -> None:
        self._decoder.close()
