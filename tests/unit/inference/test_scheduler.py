"""Every reply is whole and right in any company, and what it leaves behind is used again."""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import engine
from inference.generation import Order, State
from inference.settings import Settings
from tests.unit.inference.scheduler_bench import (
    GREEDY,
    VOCABULARY,
    Bench,
    ForgetfulExecutor,
    alone,
    arrivals,
    check_under_arrivals_and_cancels,
    order,
    orders,
)


@settings(max_examples=60, deadline=None)
@given(arrivals)
def test_every_reply_is_whole_and_right_under_random_arrivals_and_cancels(
    script: list[tuple[Order, int, int | None]],
) -> None:
    check_under_arrivals_and_cancels(Bench(), script)


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


def test_a_reply_that_repeats_itself_takes_fewer_steps_than_it_has_tokens() -> None:
    bench = Bench(executor=ForgetfulExecutor(slots=3, positions=200, vocabulary=VOCABULARY))
    repeating = bench.add(order([1, 2, 3], max_tokens=100))
    bench.run()
    assert len(bench.said(repeating)) == 100
    assert bench.executor.steps < 60
    assert bench.counted("inference_drafted_tokens_total") >= 40


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


def test_the_tokens_in_the_cache_are_counted_when_somebody_looks_and_gone_with_their_model() -> None:
    bench = Bench(slots=3, budget=400)
    bench.add(order([1] * 60))
    bench.run()
    held = sum(len(slot.tokens) for slot in bench.scheduler.table.slots)
    assert bench.counted("inference_cache_tokens") == held >= 60
    metrics = bench.metrics
    del bench
    gc.collect()
    assert metrics.registry.get_sample_value("inference_cache_tokens", {"model": "test"}) == 0


def patience(bench: Bench) -> float | None:
    has_worked = bench.scheduler.step()
    bench.now += 0.1
    return engine._patience(bench.scheduler, has_worked=has_worked)


def test_the_first_word_of_a_reply_that_is_alone_has_the_cores_for_a_moment() -> None:
    bench = Bench()
    bench.add(order([1, 2, 3], max_tokens=5))
    waits = [patience(bench) for _step in range(6)]
    assert waits == [engine.FIRST_WORD_SECONDS, 0, 0, 0, 0, None]


def test_nobody_waits_for_the_first_word_of_another() -> None:
    bench = Bench()
    for start in (1, 11):
        bench.add(order([start, 2, 3], max_tokens=5))
    waits = [patience(bench) for _step in range(8)]
    assert engine.FIRST_WORD_SECONDS not in waits
    assert waits[-1] is None


def test_an_order_that_comes_ends_the_pause() -> None:
    bench = Bench()
    paused = engine.Engine(Settings(), metrics=bench.metrics, deliver=lambda _told: None, on_failure=lambda: None)
    began = time.monotonic()
    threading.Timer(0.05, paused._commands.put, [bench.made(order([1, 2, 3]))]).start()  # the pause has begun by then
    paused._take_commands(bench.scheduler, seconds=60)
    assert time.monotonic() - began < 30
    assert not bench.scheduler.is_idle
