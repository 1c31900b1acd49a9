"""The scheduler over an executor whose replies are right only if every slot held exactly the right tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.admission import AdmissionPolicy
from inference.detokenizer import Detokenizer
from inference.executor.null import DrawingNullExecutor, NullExecutor
from inference.generation import Delta, Generation, Order, State
from inference.metrics import Metrics
from inference.sampling import SamplingParameters
from inference.scheduler import LONGEST_PAUSE, Scheduler, StepLimits

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
        said: list[Delta] = []
        generation = Generation(order, Detokenizer(token_bytes), said.append, now=self.now)
        self.deltas[id(generation)] = said
        self.generations.append(generation)
        self.scheduler.add(generation)
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


@settings(max_examples=60, deadline=None)
@given(arrivals)
def test_every_reply_is_whole_and_right_under_random_arrivals_and_cancels(
    script: list[tuple[Order, int, int | None]],
) -> None:
    check_under_arrivals_and_cancels(Bench(), script)


@settings(max_examples=60, deadline=None)
@given(arrivals)
def test_every_reply_is_whole_and_right_when_steps_run_ahead_of_the_host(
    script: list[tuple[Order, int, int | None]],
) -> None:
    check_under_arrivals_and_cancels(Bench(executor=drawing()), script)


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


@settings(max_examples=60, deadline=None)
@given(st.lists(orders, min_size=1, max_size=12))
def test_company_changes_no_reply(script: list[Order]) -> None:
    bench = Bench()
    generations = [bench.add(order) for order in script]
    bench.run()
    for generation in generations:
        assert bench.said(generation) == alone(generation.order)


@settings(max_examples=60, deadline=None)
@given(st.lists(orders, min_size=1, max_size=6))
def test_guesses_that_come_true_or_not_change_no_reply_and_no_slot(script: list[Order]) -> None:
    bench = Bench(executor=ForgetfulExecutor(slots=3, positions=200, vocabulary=VOCABULARY))
    generations = [bench.add(order) for order in script]
    bench.run()
    for generation in generations:
        assert bench.said(generation) == alone(generation.order, ForgetfulExecutor)
    for slot in bench.scheduler.table.slots:
        assert slot.tokens == bench.executor.cache[slot.index][: len(slot.tokens)]


stopping = st.builds(replace, orders, stops=st.sampled_from([(), ("B",), ("CA", "Q"), ("DD",)]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(stopping, st.integers(0, 3)), min_size=1, max_size=8))
def test_a_step_ahead_every_reply_has_the_same_deltas_and_nothing_after_its_stop(
    script: list[tuple[Order, int]],
) -> None:
    told = []
    for executor in (NullExecutor(slots=3, positions=200, vocabulary=VOCABULARY), drawing()):
        bench = Bench(executor=executor)
        for each, pause in script:
            bench.add(each)
            for _ in range(pause):
                bench.step()
        bench.run()
        told.append(
            [
                [
                    (one.text, one.token, one.finish_reason, one.produced)
                    for one in bench.deltas[id(each)]
                    if one.queue_position is None
                ]
                for each in bench.generations
            ]
        )
        for slot in bench.scheduler.table.slots:
            assert slot.tokens == executor.cache[slot.index][: len(slot.tokens)]
    assert told[0] == told[1]


def test_the_next_step_is_launched_before_the_last_one_is_read() -> None:
    executor = drawing()
    bench = Bench(executor=executor)
    generation = bench.add(order([1, 2, 3], max_tokens=6))
    for step in range(4):
        bench.step()
        assert executor.steps == step + 1
        assert len(bench.said(generation)) == step
        assert executor.in_flight == 1
    bench.run()
    assert bench.said(generation) == alone(generation.order)
    assert executor.steps == 6, "the length is known beforehand: no step is wasted on it"
    assert executor.most_in_flight == 2


def test_a_cancel_a_step_ahead_frees_the_slot_at_once_and_its_last_token_is_never_told() -> None:
    executor = drawing()
    bench = Bench(executor=executor)
    first = bench.add(order([1], max_tokens=100))
    for _ in range(4):
        bench.step()
    first.is_cancelled = True
    said = bench.said(first)
    second = bench.add(order([2], max_tokens=8))
    bench.step()
    assert first.state is State.FINISHED
    assert second.state is State.RUNNING
    bench.run()
    assert bench.said(first) == said
    assert bench.said(second) == alone(second.order)


def test_a_step_ahead_what_can_follow_with_no_token_fails_alone() -> None:
    bench = Bench(executor=drawing())
    bias = dict.fromkeys(range(VOCABULARY), float("-inf"))
    bad = bench.add(order([1], sampling=replace(GREEDY, logit_bias=bias)))
    broken = bench.add(order([1]), token_bytes=[])
    good = bench.add(order([2]))
    bench.run()
    assert bench.deltas[id(bad)][-1].error == "unusable_logits"
    assert bench.deltas[id(broken)][-1].error == "reply_failed"
    assert bench.said(good) == alone(good.order)


def test_a_reply_that_repeats_itself_takes_fewer_steps_than_it_has_tokens() -> None:
    bench = Bench(executor=ForgetfulExecutor(slots=3, positions=200, vocabulary=VOCABULARY))
    repeating = bench.add(order([1, 2, 3], max_tokens=100))
    bench.run()
    assert len(bench.said(repeating)) == 100
    assert bench.executor.steps < 60
    assert bench.counted("inference_drafted_tokens_total") >= 40


@settings(max_examples=40, deadline=None)
@given(st.lists(orders, min_size=4, max_size=20))
def test_no_user_ever_holds_more_than_the_share(script: list[Order]) -> None:
    bench = Bench(slots=4)
    for order in script:
        bench.add(order)
    while not bench.scheduler.is_idle:
        bench.step()
        for user in ("ada", "bob", "eve"):
            assert sum(generation.order.user == user for generation in bench.scheduler.running) <= 2


def order(prompt: list[int], **more: object) -> Order:
    return replace(Order(prompt=prompt, max_tokens=5, sampling=GREEDY, ignores_end=True), **more)  # type: ignore[arg-type]


def test_a_paying_request_overtakes_a_free_one_that_came_first() -> None:
    bench = Bench(slots=1)
    running = bench.add(order([1]))
    bench.step()
    free, paying = bench.add(order([2], priority=2)), bench.add(order([3], priority=0))
    while not bench.ends(running):
        bench.step()
    bench.step()
    assert paying.state is State.RUNNING
    assert free.state is State.QUEUED


@pytest.mark.parametrize("priority", [1, 2])
def test_a_free_request_begins_in_its_turn_however_many_paying_ones_keep_coming(priority: int) -> None:
    bench = Bench(slots=1)
    paying = [bench.add(order([3 + number % 40], priority=0)) for number in range(5)]
    bench.step()
    worse = [bench.add(order([2], priority=priority)) for _number in range(3)]
    while not all(bench.ends(each) for each in worse):
        paying.append(bench.add(order([3 + len(paying) % 40], priority=0)))
        bench.step()
    begun = sorted([*paying, *worse], key=lambda each: (each.admitted is None, each.admitted))
    places = [begun.index(each) for each in worse]
    # One of it for every four, or sixteen, of those that pay.
    assert all(later - earlier <= 4**priority + 1 for earlier, later in zip([0, *places], places, strict=False))


def test_a_flood_of_free_requests_leaves_room_for_those_who_pay() -> None:
    bench = Bench(slots=8, budget=800, policy=AdmissionPolicy(user_slots=8))
    for number in range(80):
        bench.add(order([1 + number % 40], max_tokens=30, priority=2))
    bench.step()
    assert len(bench.scheduler.running) == 6
    paying = bench.add(order([45]))
    bench.step()
    assert paying.state is State.RUNNING


def test_room_that_is_kept_never_keeps_a_line_from_having_one_reply_at_a_time() -> None:
    bench = Bench(slots=8, budget=160)
    large = [bench.add(order([1 + number] * 100, max_tokens=20, priority=2)) for number in range(2)]
    bench.step()
    assert [each.state for each in large] == [State.RUNNING, State.QUEUED]
    bench.run()
    assert [bench.ends(each) for each in large] == [["length"], ["length"]]


def test_free_replies_stand_still_while_a_paying_prompt_is_computed_but_not_for_long() -> None:
    bench = Bench(slots=8, budget=1600, chunk=4)
    free = bench.add(order([1], max_tokens=60, priority=2))
    bench.step()
    before = len(bench.said(free))
    bench.add(order([2] * 160, priority=0))
    for _step in range(9):
        bench.step()
    assert len(bench.said(free)) == before
    while len(bench.said(free)) == before:
        bench.step()
    assert bench.now <= 1.0 + LONGEST_PAUSE + 0.2
    bench.run()
    assert bench.said(free) == alone(free.order)


def test_a_better_line_has_its_one_reply_whatever_worse_ones_are_running() -> None:
    bench = Bench(slots=8, budget=800, policy=AdmissionPolicy(user_slots=8))
    for number in range(6):
        bench.add(order([1 + number], max_tokens=60))
    ending, background = bench.add(order([7], max_tokens=3)), bench.add(order([8], max_tokens=60, priority=9))
    bench.step()
    plus = bench.add(order([9], priority=1))
    while not bench.ends(ending):
        bench.step()
    bench.step()
    assert background.state is State.RUNNING
    assert plus.state is State.RUNNING


def test_free_prompts_that_stood_still_take_little_from_the_paying_one() -> None:
    bench = Bench(slots=8, budget=1600, chunk=8)
    for number in range(4):
        bench.add(order([1 + number] * 150, priority=2))
    bench.step()
    paying = bench.add(order([9] * 160))
    steps = 0
    while not bench.said(paying):
        bench.step()
        steps += 1
    assert 20 < steps <= 160 / 7 + 1
    bench.run()
    assert all(bench.said(each) == alone(each.order) for each in bench.generations)


class BusyExecutor(NullExecutor):
    """Something happens while a step is computed."""

    happens: Callable[[], None] | None = None

    def during_step(self) -> None:
        if self.happens:
            happens, self.happens = self.happens, None
            happens()


@pytest.mark.parametrize(("comes", "gives_up"), [(0, True), (1, True), (2, False)])
def test_a_step_is_given_up_for_a_better_prompt_and_no_reply_changes(comes: int, gives_up: bool) -> None:
    executor = BusyExecutor(slots=8, positions=200, vocabulary=VOCABULARY)
    bench = Bench(slots=8, executor=executor)
    running = [bench.add(order([1 + number] * 9, max_tokens=20, priority=2)) for number in range(3)]
    for _step in range(4):
        bench.step()
    said = [len(bench.said(each)) for each in running]
    late: list[Generation] = []

    def order_comes() -> None:
        bench.scheduler.hurry(comes)
        late.append(bench.add(order([40] * 12, priority=comes)))

    executor.happens = order_comes
    bench.step()
    assert ([len(bench.said(each)) for each in running] == said) is gives_up
    bench.scheduler.begin()
    bench.step()
    assert len(bench.said(late[0])) == 1
    bench.run()
    for each in [*running, *late]:
        assert bench.said(each) == alone(each.order)
    assert bench.counted("inference_steps_interrupted_total") == int(gives_up)


def test_no_step_is_given_up_for_who_could_not_begin_anyway() -> None:
    executor = BusyExecutor(slots=2, positions=200, vocabulary=VOCABULARY)
    bench = Bench(slots=2, executor=executor)
    running = [bench.add(order([1], max_tokens=20)), bench.add(order([2], max_tokens=20, priority=9))]
    bench.step()
    said = [len(bench.said(each)) for each in running]
    executor.happens = lambda: bench.scheduler.hurry(0)
    bench.step()
    assert [len(bench.said(each)) for each in running] == [count + 1 for count in said]
    assert bench.counted("inference_steps_interrupted_total") == 0


def test_an_order_that_comes_between_steps_gives_nothing_up() -> None:
    bench = Bench()
    free = bench.add(order([1], max_tokens=1, priority=2))
    bench.run()
    bench.scheduler.hurry(0)
    paying = bench.add(order([2] * 9))
    bench.step()
    assert bench.ends(free)
    assert len(bench.said(paying)) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 12), st.integers(0, 6)), min_size=2, max_size=20),
    st.integers(1, 3),
)
def test_nobody_is_overtaken_by_who_came_later_and_is_not_better(
    script: list[tuple[int, int, int]], slots: int
) -> None:
    bench = Bench(slots=slots, policy=AdmissionPolicy(user_slots=1))
    for number, (priority, length, pause) in enumerate(script):
        for _ in range(pause):
            bench.step()
        bench.add(order([number + 1] * 5, priority=priority, max_tokens=length, user=f"user {number}"))
    bench.run()
    for first in bench.generations:
        for second in bench.generations:
            if second.arrived > first.arrived and second.order.priority == first.order.priority:
                assert first.admitted is not None
                assert second.admitted is not None
                assert first.admitted <= second.admitted


def test_a_long_prompt_stalls_others_for_one_chunk_at_most() -> None:
    bench = Bench(chunk=16)
    talker = bench.add(order([1], max_tokens=30))
    bench.step()
    bench.add(order([2] * 100))
    for _ in range(6):
        before = len(bench.said(talker))
        bench.step()
        assert len(bench.said(talker)) == before + 1


def test_a_cancelled_reply_frees_its_slot_within_one_step() -> None:
    bench = Bench(slots=1)
    first = bench.add(order([1], max_tokens=100))
    bench.step()
    second = bench.add(order([2]))
    first.is_cancelled = True
    bench.step()
    assert first.state is State.FINISHED
    assert second.state is State.RUNNING


def test_a_deadline_that_passes_in_the_queue_ends_the_request_before_any_work() -> None:
    bench = Bench(slots=1)
    bench.add(order([1], max_tokens=60))
    late = bench.add(order([2], deadline=1.0))
    bench.run()
    assert bench.said(late) == []
    assert bench.deltas[id(late)][-1].error == "deadline_exceeded"


def test_the_next_turn_of_a_conversation_computes_only_what_is_new() -> None:
    bench = Bench()
    first = bench.add(order(list(range(1, 40)), max_tokens=8))
    bench.run()
    second = bench.add(order([*first.tokens, 9, 9, 9]))
    bench.run()
    assert second.cached_tokens == len(first.tokens) - 1
    assert bench.said(second) == alone(second.order)
    assert len(bench.said(second)) == 5


def test_siblings_share_the_computation_of_their_prompt() -> None:
    bench = Bench(slots=3, budget=1000, chunk=200)
    prompt = [(3 * index) % 49 + 1 for index in range(120)]
    generations = [bench.add(order(prompt)) for _ in range(3)]
    bench.run()
    assert sorted(generation.cached_tokens for generation in generations) == [0, 119, 119]


def test_a_request_that_can_follow_with_no_token_fails_alone() -> None:
    bench = Bench()
    bias = dict.fromkeys(range(VOCABULARY), float("-inf"))
    bad = bench.add(order([1], sampling=replace(GREEDY, logit_bias=bias)))
    good = bench.add(order([2]))
    bench.run()
    assert bench.deltas[id(bad)][-1].error == "unusable_logits"
    assert bench.ends(good) == ["length"]


def test_a_reply_whose_own_state_is_broken_fails_alone() -> None:
    bench = Bench()
    bad = bench.add(order([1]), token_bytes=[])
    good = bench.add(order([2]))
    bench.run()
    assert bench.deltas[id(bad)][-1].error == "reply_failed"
    assert bench.ends(good) == ["length"]
    assert bench.said(good) == alone(good.order)


def test_nobody_goes_on_from_what_a_spoilt_reply_left_in_the_cache() -> None:
    bench = Bench()
    prompt = list(range(1, 40))
    bias = dict.fromkeys(range(VOCABULARY), float("nan"))
    bench.add(order(prompt, sampling=replace(GREEDY, logit_bias=bias)))
    bench.run()
    after = bench.add(order(prompt))
    bench.run()
    assert after.cached_tokens == 0
    assert bench.said(after) == alone(after.order)


def test_a_kept_prefix_that_makes_room_is_counted_and_computed_again() -> None:
    bench = Bench(slots=3, budget=100)
    for token in (1, 2):
        bench.add(order([token] * 60))
        bench.run()
    assert bench.counted("inference_preemptions_total") == 1
    again = bench.add(order([1] * 60))
    bench.run()
    assert again.cached_tokens == 0


@pytest.mark.parametrize("budget", [70, 130])
def test_what_does_not_fit_the_cache_waits_for_room(budget: int) -> None:
    bench = Bench(slots=3, budget=budget)
    generations = [bench.add(order([index + 1] * 50, max_tokens=10)) for index in range(4)]
    while not bench.scheduler.is_idle:
        bench.step()
        assert sum(slot.reserved for slot in bench.scheduler.table.slots) <= budget
    assert all(bench.ends(generation) == ["length"] for generation in generations)
