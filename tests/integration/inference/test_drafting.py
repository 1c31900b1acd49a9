"""Guessing ahead with the real model: the same reply in fewer steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.admission import AdmissionPolicy
from inference.detokenizer import Detokenizer
from inference.executor.fused_executor import FusedExecutor
from inference.generation import Generation, Order
from inference.kernels.build import KernelsUnavailableError, find_compiler
from inference.metrics import Metrics
from inference.sampling import SamplingParameters
from inference.scheduler import Scheduler
from inference.steps import StepLimits
from inference.tokenizer import TextTokenizer, load_tokenizer
from inference.weights import open_weights

PASSAGE = (
    "The service keeps a ledger of every token. Each reply reserves what it may come to need, and settles what it "
    "used. A reply that fails gives everything back. Nothing is ever billed twice."
)
QUESTION = f"Repeat the following text exactly, word for word:\n\n{PASSAGE}"


@pytest.fixture(scope="module")
def model(default_model: Path) -> Iterator[tuple[FusedExecutor, TextTokenizer]]:
    try:
        find_compiler()
    except KernelsUnavailableError:
        pytest.skip("needs a C++ compiler")
    source = open_weights(default_model)
    executor = FusedExecutor(source, slots=1, positions=512, threads=2, quantised=False)
    yield executor, load_tokenizer(source)
    executor.close()


def reply(
    model: tuple[FusedExecutor, TextTokenizer], sampling: SamplingParameters, *, draft_tokens: int
) -> tuple[list[int], int, float]:
    """The tokens of a reply, the steps that it took after the prompt, and their seconds."""
    executor, tokenizer = model
    scheduler = Scheduler(
        executor,
        end_tokens=tokenizer.end_ids,
        policy=AdmissionPolicy(),
        limits=StepLimits(draft_tokens=draft_tokens),
        budget=512,
        clock=time.monotonic,
        deliver=lambda _outbox: None,
        metrics=Metrics(),
        model="test",
    )
    prompt = tokenizer.encode_messages([{"role": "user", "content": QUESTION}])
    order = Order(prompt=prompt, max_tokens=60, sampling=sampling)
    generation = Generation(order, Detokenizer(tokenizer.table), lambda _delta: None, now=time.monotonic())
    scheduler.add(generation)
    while not generation.is_decoding:
        scheduler.step()
    began, steps = time.monotonic(), 0
    while not scheduler.is_idle:
        scheduler.step()
        steps += 1
    return generation.tokens[len(prompt) :], steps, time.monotonic() - began


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParameters(temperature=0.0),
        SamplingParameters(temperature=0.7, top_p=0.9, seed=7),
        SamplingParameters(temperature=1.0, repetition_penalty=1.1, seed=8),
    ],
    ids=["greedy", "drawn", "penalised"],
)
def test_the_reply_is_the_same_with_and_without_guesses(
    model: tuple[FusedExecutor, TextTokenizer], sampling: SamplingParameters
) -> None:
    plain, plain_steps, _ = reply(model, sampling, draft_tokens=0)
    guessed, guessed_steps, _ = reply(model, sampling, draft_tokens=3)
    assert guessed == plain
    assert guessed_steps <= plain_steps
    if sampling.temperature == 0.0:
        assert guessed_steps < 0.6 * plain_steps
