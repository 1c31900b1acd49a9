"""Executors to ask the check about: one that is right, and some that are wrong in one way each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from inference.executor.base import Executor, Segment
from inference.executor.interpreter_executor import make_interpreter_executor
from inference.executor.torch_executor import TorchExecutor
from inference.tensorrt import gpu_check
from inference.tensorrt.gpu_check import SHORT, Subject, examine
from inference.tensorrt.slot_executor import SlotExecutor
from inference.weights import open_weights

POSITIONS = 120


def interpreted(checkpoint: Path) -> SlotExecutor:
    return make_interpreter_executor(
        open_weights(checkpoint), slots=4, positions=POSITIONS, precision="float32", max_chunk=64
    )


def reference(checkpoint: Path) -> Executor:
    return TorchExecutor(open_weights(checkpoint), slots=2, positions=POSITIONS, precision="float32")


class Wrong:
    """An executor that spoils another's work in one way."""

    def __init__(self, inner: SlotExecutor) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        return self.inner.forward(segments)


class Forgetful(Wrong):
    """Each chunk sees only itself, as under a mask anchored at the wrong corner."""

    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        if any(len(segment.tokens) > 1 for segment in segments):
            for cache in self.inner.caches.values():
                cache.zero_()
        return self.inner.forward(segments)


class Crossed(Wrong):
    """Rows of a decode step get each other's logits."""

    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        return self.inner.forward(segments).flip(0)


class Overlong(Wrong):
    """Decode looks one token too far back to front: positions are off by one."""

    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        return self.inner.forward(
            [
                Segment(segment.slot, segment.start + (len(segment.tokens) == 1), segment.tokens, segment.logits)
                for segment in segments
            ]
        )


class Noisy(Wrong):
    """Runs of one step differ."""

    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        logits = self.inner.forward(segments)
        return logits + 0.01 * torch.randn_like(logits)


def failed(candidate: Any, checkpoint: Path, questions: Sequence[gpu_check.Question] = SHORT) -> set[str]:
    results = examine(Subject(candidate, reference(checkpoint)), questions)
    return {result.name for result in results if not result.is_good}
