"""Which engine is faster on this processor for a model of this shape, measured on one of its layers."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import torch

from inference.executor.base import Executor, Segment
from inference.executor.fused_executor import FusedExecutor
from inference.executor.torch_executor import TorchExecutor
from inference.weights import WeightSource

WORDS = 64
POSITIONS = 128
REPLIES = 16
PROMPT = 64
ROUNDS = 5


class OneLayer(WeightSource):
    """The first layer of a model, under a vocabulary of a few words."""

    def __init__(self, source: WeightSource) -> None:
        self._source = source
        self.path = source.path
        self.config = replace(source.config, layers=1, vocabulary=WORDS, tied_head=True)

    def load(self, name: str) -> torch.Tensor:
        if name == "model.embed_tokens.weight":
            return torch.ones(WORDS, self.config.hidden_size)
        return self._source.load(name)

    def names(self) -> set[str]:
        return self._source.names()

    def files(self) -> list[Path]:
        return self._source.files()


def kernels_over_torch(source: WeightSource, *, threads: int, precision: str) -> float:
    """The kernels' time over torch's in `precision`: the mean ratio for one reply, sixteen, and a prompt.

    Raises KernelsUnavailableError or UnsupportedModelError where there are no kernels to measure.
    """
    layer = OneLayer(source)
    kernels = FusedExecutor(layer, slots=REPLIES, positions=POSITIONS, threads=threads, quantised=False)
    plain = TorchExecutor(layer, slots=REPLIES, positions=POSITIONS, precision=precision)
    steps = (
        [Segment(0, PROMPT, [1])],
        [Segment(slot, PROMPT, [1]) for slot in range(REPLIES)],
        [Segment(0, 0, [1] * PROMPT)],
    )
    try:
        for executor in (kernels, plain):
            for slot in range(REPLIES):
                executor.forward([Segment(slot, 0, [1] * PROMPT, logits=0)])
        times = [_least_seconds(kernels, plain, step) for step in steps]
    finally:
        kernels.close()
        plain.close()
    return math.prod(ours / theirs for ours, theirs in times) ** (1 / len(times))


def _least_seconds(kernels: Executor, plain: Executor, step: list[Segment]) -> tuple[float, float]:
    """The least time of each for `step`, taken in turns so that other work on the machine hits both."""
    least = [math.inf, math.inf]
    for _ in range(ROUNDS):
        for index, executor in enumerate((kernels, plain)):
            began = time.perf_counter()
            executor.forward(step)
            least[index] = min(least[index], time.perf_counter() - began)
    return least[0], least[1]
