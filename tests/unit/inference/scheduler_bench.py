"""A scheduler to try: its executor makes replies that are right only if every slot held exactly the right tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from hypothesis import strategies as st

from inference.admission import AdmissionPolicy
from inference.detokenizer import Detokenizer, TokenTable
from inference.executor.null import DrawingNullExecutor, NullExecutor
from inference.generation import Delta, Generation, Order
from inference.metrics import Metrics
from inference.sampling import SamplingParameters
from inference.scheduler import Scheduler
from inference.steps import StepLimits

VOCABULARY = 50
GREEDY = SamplingParameters(temperature=0.0)
TOKEN_BYTES = [bytes([65 + index % 26]) for index in range(VOCABULARY)]
END = frozenset({0})


class Bench:
    """A scheduler on a clock that the test turns."""

    def __init__(
        self,
        *,
        slots: int = 3,
        budget: int = 400,
        chunk: int = 16,
        policy: AdmissionPolicy | None = None,
        executor: NullExecutor | None = None,
    ) -> None:
        self.now = 0.0
        self.deltas: dict[int, list[Delta]] = {}
        self.generations: list[Generation] = []
        self.metrics = Metrics()
        self.executor = executor or NullExecutor(slots=slots, positions=200, vocabulary=VOCABULARY)
        self.scheduler = Scheduler(
            self.executor,
            end_tokens=END,
            policy=policy or AdmissionPolicy(user_slots=2),
            limits=StepLimits(chunk=chunk, draft_tokens=3),
            budget=budget,
            clock=lambda: self.now,
            deliver=self._deliver,
            metrics=self.metrics,
            model="test",
        )

    def _deliver(self, outbox: list[tuple[Generation, Delta]]) -> None:
        for generation, delta in outbox:
            generation.listener(delta)

    def add(self, order: Order, token_bytes: list[bytes] = TOKEN_BYTES) -> Generation:
        generation = self.made(order, token_bytes)
        self.scheduler.add(generation)
        return generation

    def made(self, order: Order, token_bytes: list[bytes] = TOKEN_BYTES) -> Generation:
        said: list[Delta] = []
        generation = Generation(order, Detokenizer(TokenTable(token_bytes)), said.append, now=self.now)
        self.deltas[id(generation)] = said
        self.generations.append(generation)
        return generation

    def said(self, generation: Generation) -> list[int]:
        return [delta.token for delta in self.deltas[id(generation)] if delta.token is not None]

    def ends(self, generation: Generation) -> list[str]:
        return [delta.finish_reason for delta in self.deltas[id(generation)] if delta.finish_reason]

    def counted(self, metric: str) -> float:
        """The sum of a metric over all its labels."""
        samples = [sample for family in self.metrics.registry.collect() for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == metric)

    def step(self) -> None:
        self.scheduler.step()
        self.now += 0.1

    def run(self, *, steps: int = 5000) -> None:
        for _ in range(steps):
            if self.scheduler.is_idle:
                return
            self.step()
        raise AssertionError("work is left over: something starved or leaked")


class ForgetfulExecutor(NullExecutor):
    """What follows depends on the last two tokens alone, so that replies go in circles and guesses come true."""

    def row(self, tokens: Sequence[int]) -> torch.Tensor:
        return super().row([token % 6 for token in tokens[-2:]])


def alone(order: Order, kind: type[NullExecutor] = NullExecutor) -> list[int]:
    """The reply that the model gives to this order and nothing else."""
    executor = kind(slots=1, positions=10_000, vocabulary=VOCABULARY)
    tokens = list(order.prompt)
    reply: list[int] = []
    while len(reply) < order.max_tokens:
        token = int(executor.row(tokens).argmax())
        reply.append(token)
        tokens.append(token)
        if token in END and not order.ignores_end:
            break
    return reply


orders = st.builds(
    Order,
    prompt=st.one_of(
        st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=60),
        # Conversations that share a beginning, so that prefixes are reused and copied.
        st.integers(1, 90).map(lambda length: [(7 * index) % 49 + 1 for index in range(length)]),
    ),
    max_tokens=st.integers(1, 40),
    sampling=st.just(GREEDY),
    priority=st.integers(0, 2),
    user=st.sampled_from(["", "ada", "bob", "eve"]),
)
arrivals = st.lists(st.tuples(orders, st.integers(0, 8), st.one_of(st.none(), st.integers(0, 30))), max_size=25)


def drawing() -> DrawingNullExecutor:
    return DrawingNullExecutor(slots=3, positions=200, vocabulary=VOCABULARY)


def check_under_arrivals_and_cancels(bench: Bench, script: list[tuple[Order, int, int | None]]) -> None:
    cancel_at: list[tuple[int, Generation]] = []
    step = 0
    for order, pause, cancelled_after in script:
        for _ in range(pause):
            bench.step()
            step += 1
            for due, generation in cancel_at:
                generation.is_cancelled |= due <= step
        generation = bench.add(order)
        if cancelled_after is not None:
            cancel_at.append((step + cancelled_after, generation))
    for _, generation in cancel_at:
        generation.is_cancelled = True
    bench.run()

    doomed = {id(generation) for _, generation in cancel_at}
    for table_slot in bench.scheduler.table.slots:
        assert not table_slot.is_busy
        assert table_slot.tokens == bench.executor.cache[table_slot.index][: len(table_slot.tokens)]
    assert sum(len(slot.tokens) for slot in bench.scheduler.table.slots) <= bench.scheduler.table.budget
    for generation in bench.generations:
        deltas = bench.deltas[id(generation)]
        assert [bool(delta.finish_reason) for delta in deltas].count(True) == 1
        assert deltas[-1].finish_reason in ("stop", "length", *(["cancelled"] if id(generation) in doomed else []))
        # Every token that was told is right and in its place, and every one is counted.
        whole, said = alone(generation.order), bench.said(generation)
        assert said == (whole[: len(said)] if deltas[-1].finish_reason == "cancelled" else whole)
        assert deltas[-1].produced == len(said)
    assert bench.counted("inference_reply_tokens_total") == sum(len(bench.said(each)) for each in bench.generations)
    assert bench.counted("inference_requests_finished_total") == len(bench.generations)
    assert bench.counted("inference_slots_busy") == bench.counted("inference_queue_length") == 0


def order(prompt: list[int], **more: object) -> Order:
    return replace(Order(prompt=prompt, max_tokens=5, sampling=GREEDY, ignores_end=True), **more)  # type: ignore[arg-type]
