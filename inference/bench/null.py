"""The host's own time in a step: the real scheduler and sampler over an executor that computes nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch

from inference.executor.base import Segment, logit_rows

VOCABULARY = 49_152
SPREAD = 4.0


class IdleExecutor:
    """Answers every step with the same logits at once."""

    precision = "none"

    def __init__(self, *, slots: int, positions: int) -> None:
        self.slots = slots
        self.positions = positions
        self.vocabulary = VOCABULARY
        # As spread out as the default model's.
        self._logits = np.random.default_rng(0).standard_normal((slots, VOCABULARY), dtype=np.float32) * SPREAD

    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        return torch.from_numpy(self._logits[: len(logit_rows(segments))].copy())

    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        """Nothing is stored."""

    def release(self, slot: int, *, keep: int = 0) -> None:
        """Nothing is stored."""

    def close(self) -> None:
        """Nothing is held."""


def host_milliseconds(replies: int, *, temperature: float, steps: int = 100) -> float:
    """The median time of one decode step of `replies` replies outside the executor, in milliseconds."""
    from inference.admission import AdmissionPolicy
    from inference.detokenizer import Detokenizer
    from inference.generation import Generation, Order
    from inference.metrics import Metrics
    from inference.sampling import SamplingParameters
    from inference.scheduler import Scheduler, StepLimits

    scheduler = Scheduler(
        IdleExecutor(slots=replies, positions=4096),
        end_tokens=frozenset(),
        policy=AdmissionPolicy(user_slots=replies),
        limits=StepLimits(),
        budget=replies * 4096,
        clock=time.monotonic,
        deliver=lambda _deltas: None,
        metrics=Metrics(),
        model="null",
    )
    sampling = SamplingParameters(temperature=temperature, top_p=0.95 if temperature else 1.0)
    words = [b"word "] * VOCABULARY
    for index in range(replies):
        order = Order(prompt=[1 + index, 2, 3], max_tokens=steps + 20, sampling=sampling)
        detokenizer = Detokenizer(words, ())
        scheduler.add(Generation(order, detokenizer, lambda _delta: None, now=0.0))
    for _ in range(10):
        scheduler.step()
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        scheduler.step()
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)
