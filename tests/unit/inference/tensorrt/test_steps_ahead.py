"""Over the interpreted network, replies made a step ahead of the host are those made step by step, to the token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.admission import AdmissionPolicy
from inference.detokenizer import Detokenizer, TokenTable
from inference.executor.base import DrawingExecutor, Segment
from inference.executor.interpreter_executor import make_interpreter_executor
from inference.generation import Delta, Generation, Order
from inference.metrics import Metrics
from inference.sampling import SamplingParameters
from inference.scheduler import Scheduler
from inference.steps import StepLimits
from inference.weights import open_weights
from tests.unit.inference.test_model_agreement import COMMON, save_random_checkpoint

VOCABULARY = COMMON["vocab_size"]
TOKENS = TokenTable([bytes([33 + index % 90]) for index in range(VOCABULARY)])
SLOTS, POSITIONS = 4, 100
PLAIN = SamplingParameters(temperature=0.9)
SAMPLING = [
    SamplingParameters(temperature=0.0),
    PLAIN,
    replace(PLAIN, top_p=0.9, logprobs=3),
    replace(PLAIN, top_k=20, min_p=0.02),
    replace(PLAIN, repetition_penalty=1.3, frequency_penalty=0.4, presence_penalty=0.2, top_p=0.95),
    replace(PLAIN, logit_bias={5: 3.0, 9: -100.0}),
]


class StepByStep:
    """The same executor without what it can do ahead: logits to the host, tokens from there."""

    def __init__(self, inner: Any) -> None:
        self.slots, self.positions, self.vocabulary = inner.slots, inner.positions, inner.vocabulary
        self.precision = inner.precision
        self.copy_prefix, self.release, self.close = inner.copy_prefix, inner.release, inner.close
        self._inner = inner

    def forward(self, segments: Sequence[Segment], _interruption: object = None) -> torch.Tensor:
        logits: torch.Tensor = self._inner.forward(segments)
        return logits.clone()


class EveryOther:
    """A grammar that asks for even and odd tokens by turns, and for an end after six."""

    def __init__(self) -> None:
        self.accepted: list[int] = []

    @property
    def is_finished(self) -> bool:
        return len(self.accepted) >= 6

    def allowed(self) -> np.ndarray:
        return np.arange(VOCABULARY) % 2 == len(self.accepted) % 2

    def accept(self, token: int) -> None:
        assert self.allowed()[token]
        self.accepted.append(token)


def script() -> list[tuple[Order, int, int | None]]:
    """Orders, the steps before each joins, and for some the number of tokens after which it is cancelled."""
    random = np.random.default_rng(3)
    made: list[tuple[Order, int, int | None]] = []
    for number in range(24):
        length = int(random.integers(1, 45))
        prompt = [(7 * place) % 90 + 1 for place in range(length)] if number % 3 == 0 else None
        order = Order(
            prompt=prompt or random.integers(0, VOCABULARY, length).tolist(),
            max_tokens=int(random.integers(1, 30)),
            sampling=replace(SAMPLING[number % len(SAMPLING)], seed=number),
            stops=("AB", "x", "!Q")[: number % 4],
            ignores_end=number % 2 == 0,
        )
        if number % 7 == 3:
            order = replace(order, grammar=EveryOther())
        made.append((order, int(random.integers(0, 4)), 5 if number % 8 == 5 else None))
    return made


def replies(executor: Any) -> list[list[Delta]]:
    """What is told of each order."""
    scheduler = Scheduler(
        executor,
        end_tokens=frozenset({0, 50}),
        policy=AdmissionPolicy(user_slots=SLOTS),
        limits=StepLimits(chunk=16),
        budget=SLOTS * POSITIONS,
        clock=lambda: 0.0,
        deliver=lambda outbox: [generation.listener(delta) for generation, delta in outbox] and None,
        metrics=Metrics(),
        model="test",
    )
    told: list[list[Delta]] = []
    generations: dict[int, Generation] = {}
    for order, pause, cancelled_after in script():
        deltas: list[Delta] = []
        told.append(deltas)

        def listen(delta: Delta, deltas: list[Delta] = deltas, limit: int | None = cancelled_after) -> None:
            if delta.queue_position is None:
                deltas.append(delta)
                if limit is not None and len(deltas) >= limit:
                    generations[id(deltas)].is_cancelled = True

        generation = Generation(order, Detokenizer(TOKENS, order.stops), listen, now=0.0)
        generations[id(deltas)] = generation
        scheduler.add(generation)
        for _ in range(pause):
            scheduler.step()
    while not scheduler.is_idle:
        scheduler.step()
    return told


@pytest.mark.parametrize("family", ["Llama", "Qwen3"])
def test_a_step_ahead_of_the_host_every_reply_is_the_same_to_the_token(family: str, tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, family, {"head_dim": 16} if family == "Qwen3" else {})

    def made() -> Any:
        source = open_weights(tmp_path)
        return make_interpreter_executor(source, slots=SLOTS, positions=POSITIONS, precision="float32", max_chunk=16)

    ahead = made()
    assert isinstance(ahead, DrawingExecutor)
    assert not isinstance(StepByStep(ahead), DrawingExecutor)
    for expected, got in zip(replies(StepByStep(made())), replies(ahead), strict=True):
        assert [(one.token, one.text, one.finish_reason, one.produced) for one in got] == [
            (one.token, one.text, one.finish_reason, one.produced) for one in expected
        ]
        assert [one.finish_reason is not None for one in got] == [False] * (len(got) - 1) + [True]
        for ours, theirs in zip(got, expected, strict=True):
            assert (ours.logprob is None) == (theirs.logprob is None)
            if ours.logprob and theirs.logprob:
                assert ours.logprob.logprob == pytest.approx(theirs.logprob.logprob, abs=1e-4)
                assert [index for index, _ in ours.logprob.top] == [index for index, _ in theirs.logprob.top]
    reasons = {deltas[-1].finish_reason for deltas in replies(ahead)}
    assert reasons == {"stop", "length", "cancelled"}
