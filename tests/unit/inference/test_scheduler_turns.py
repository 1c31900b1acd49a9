"""Who is served first, who stands still meanwhile, and for how long."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.admission import AdmissionPolicy
from inference.executor.null import NullExecutor
from inference.generation import Generation, Order, State
from inference.steps import LONGEST_PAUSE, SHORT_SHARE
from tests.unit.inference.scheduler_bench import VOCABULARY, Bench, alone, order, orders


@settings(max_examples=40, deadline=None)
@given(st.lists(orders, min_size=4, max_size=20))
def test_no_user_ever_holds_more_than_the_share(script: list[Order]) -> None:
    bench = Bench(slots=4)
    for each in script:
        bench.add(each)
    while not bench.scheduler.is_idle:
        bench.step()
        for user in ("ada", "bob", "eve"):
            assert sum(generation.order.user == user for generation in bench.scheduler.running) <= 2


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


def test_prompts_that_wait_for_their_like_keep_no_better_one_waiting() -> None:
    executor = BusyExecutor(slots=8, positions=200, vocabulary=VOCABULARY)
    bench = Bench(slots=8, budget=1600, chunk=8, executor=executor, policy=AdmissionPolicy(user_slots=8))
    free = [bench.add(order([1 + number] * 100, priority=2)) for number in range(4)]
    while not bench.said(free[1]):
        bench.step()
    assert free[2].computed == 0
    assert bench.now > LONGEST_PAUSE
    executor.happens = lambda: bench.scheduler.hurry(0)
    bench.step()
    assert bench.counted("inference_steps_interrupted_total") == 1


def test_steps_are_short_while_better_prompts_keep_coming_and_whole_again_afterwards() -> None:
    executor = BusyExecutor(slots=8, positions=200, vocabulary=VOCABULARY)
    bench = Bench(slots=8, budget=1600, chunk=16, executor=executor)
    free = bench.add(order([1] * 100, priority=2))
    computed = []
    for is_given_up in (True, False, False):
        executor.happens = (lambda: bench.scheduler.hurry(0)) if is_given_up else None
        bench.step()
        bench.scheduler.begin()
        computed.append(free.computed)
    assert computed == [0, 16 // SHORT_SHARE, 16 // SHORT_SHARE + 16]


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
