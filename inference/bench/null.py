"""The host's own time in a step: the real scheduler and sampler over an executor that computes nothing."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import torch

from inference.executor.base import Executor, Interruption, Segment, logit_rows
from inference.sampling import Draw
from inference.slot_sampler import Choices
from inference.tensorrt.bindings import Launch
from inference.tensorrt.slot_executor import SlotExecutor

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

    def forward(self, segments: Sequence[Segment], interruption: Interruption | None = None) -> torch.Tensor:
        return torch.from_numpy(self._logits[: len(logit_rows(segments))].copy())

    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        """Nothing is stored."""

    def release(self, slot: int, *, keep: int = 0) -> None:
        """Nothing is stored."""

    def close(self) -> None:
        """Nothing is held."""


def host_milliseconds(
    replies: int,
    *,
    temperature: float,
    steps: int = 100,
    executor: Executor | None = None,
    drawing: Draw | None = None,
    turnover: int = 0,
) -> float:
    """The median time of one decode step of `replies` replies outside the executor, in milliseconds.

    Before each step `turnover` of them are cancelled, in whose place as many others begin in it.
    """
    from inference.admission import AdmissionPolicy
    from inference.detokenizer import Detokenizer, TokenTable
    from inference.generation import Generation, Order
    from inference.metrics import Metrics
    from inference.sampling import SamplingParameters
    from inference.scheduler import Scheduler
    from inference.steps import StepLimits

    scheduler = Scheduler(
        executor or IdleExecutor(slots=replies, positions=4096),
        end_tokens=frozenset(),
        policy=AdmissionPolicy(user_slots=replies),
        limits=StepLimits(),
        budget=replies * 4096,
        clock=time.monotonic,
        deliver=lambda _deltas: None,
        metrics=Metrics(),
        model="null",
        drawing=drawing,
    )
    sampling = SamplingParameters(temperature=temperature, top_p=0.95 if temperature else 1.0)
    words = TokenTable([b"word "] * VOCABULARY)

    def add(number: int) -> Generation:
        order = Order(prompt=[1 + number, 2, 3], max_tokens=steps + 20, sampling=sampling)
        generation = Generation(order, Detokenizer(words), lambda _delta: None, now=0.0)
        scheduler.add(generation)
        return generation

    going = deque(add(number) for number in range(replies))
    for _ in range(10):
        scheduler.step()
    times = []
    for step in range(steps):
        for number in range(turnover):
            going.popleft().is_cancelled = True
            going.append(add(replies + step * turnover + number))
        began = time.perf_counter()
        scheduler.step()
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


class IdleRunner:
    """A plan that is done at once."""

    device = torch.device("cpu")
    uses_graphs = False

    def __init__(self, rows: int) -> None:
        self._logits = torch.zeros(rows, 8)
        self._choices: dict[Hashable, Choices] = {}

    def run(self, launch: Launch, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        return self._logits[: launch.rows]

    def choose(self, key: Hashable, function: Callable[[], Choices]) -> Choices:
        """As a recorded graph does: what it found the first time, at once."""
        if key not in self._choices:
            self._choices[key] = function()
        return self._choices[key]

    def forget(self) -> None:
        """Nothing is recorded."""

    def close(self) -> None:
        """Nothing is held."""


def binding_milliseconds(rows: int, *, steps: int = 200) -> float:
    """The median time that a decode step of a plan takes on the host besides the plan: numbers, addresses, rows."""
    executor = idle_plan(rows, positions=steps + 64)
    times = []
    for step in range(steps):
        segments = [Segment(slot, step, [1]) for slot in range(rows)]
        began = time.perf_counter()
        executor.forward(segments)
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


def plan_milliseconds(rows: int, *, steps: int = 100, turnover: int = 0) -> float:
    """The same for all that the host does in a step, a step ahead: scheduling, launching, reading, text, metrics."""
    executor = idle_plan(rows, positions=4096)
    return host_milliseconds(rows, temperature=0.8, steps=steps, executor=executor, turnover=turnover)


def idle_plan(rows: int, *, positions: int) -> SlotExecutor:
    """A plan of 32 layers that is done at once."""
    from inference.config import ModelConfig
    from inference.tensorrt.contract import contract
    from inference.tensorrt.precision import precision_named
    from inference.tensorrt.profiles import Limits

    sizes: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 64,
        "layers": 32,
        "heads": 2,
        "kv_heads": 1,
        "head_size": 32,
    }
    config = ModelConfig(family="llama", vocabulary=8, window=positions, norm_epsilon=1e-5, rope_base=1e4, **sizes)
    limits = Limits(max_batch=rows, max_chunk=64, positions=positions)
    tensors = contract(config, precision_named("bfloat16"), positions=limits.positions)
    weights = {spec.name: torch.zeros(spec.sized(), dtype=spec.dtype) for spec in tensors.weights}
    return SlotExecutor(IdleRunner(rows), tensors, weights, limits=limits, precision="none")
