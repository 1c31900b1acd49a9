"""A step ahead of the host: replies are those of step by step."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from inference.executor.null import NullExecutor
from inference.generation import Order, State
from tests.unit.inference.scheduler_bench import (
    GREEDY,
    VOCABULARY,
    Bench,
    alone,
    arrivals,
    check_under_arrivals_and_cancels,
    drawing,
    order,
    orders,
)


@settings(max_examples=60, deadline=None)
@given(arrivals)
def test_every_reply_is_whole_and_right_when_steps_run_ahead_of_the_host(
    script: list[tuple[Order, int, int | None]],
) -> None:
    check_under_arrivals_and_cancels(Bench(executor=drawing()), script)


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
