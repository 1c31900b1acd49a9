"""Whatever the scheduler asks for, every launch stays inside its buffers, its profile and its own slots."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.config import ModelConfig
from inference.executor.base import NOBODY_FED, Fed, Segment
from inference.sampling import SamplingParameters
from inference.slot_sampler import Choices
from inference.tensorrt.bindings import (
    ADDRESS_STEP,
    LAST_DRAWN,
    Launch,
    batch_size_for,
    batch_sizes,
    launches,
    layout,
    packed_size,
)
from inference.tensorrt.contract import capacity_for, contract
from inference.tensorrt.precision import precision_named
from inference.tensorrt.profiles import DECODE, PREFILL, Limits
from inference.tensorrt.slot_executor import SlotExecutor

CONFIG = ModelConfig(
    family="llama",
    hidden_size=8,
    intermediate_size=16,
    layers=2,
    heads=4,
    kv_heads=2,
    head_size=4,
    vocabulary=50,
    window=512,
    norm_epsilon=1e-5,
    rope_base=10000.0,
)


@st.composite
def steps(draw: st.DrawFn) -> tuple[Limits, list[Segment]]:
    limits = Limits(
        max_batch=draw(st.integers(1, 40)), max_chunk=draw(st.integers(1, 64)), positions=draw(st.integers(2, 300))
    )
    slots = draw(st.lists(st.integers(0, limits.max_batch - 1), min_size=1, unique=True))
    segments = []
    for slot in slots:
        start = draw(st.integers(0, limits.positions - 1))
        count = draw(st.one_of(st.just(1), st.integers(1, limits.positions - start)))
        tokens = draw(st.lists(st.integers(0, 49), min_size=count, max_size=count))
        segments.append(Segment(slot, start, tokens, logits=draw(st.integers(0, min(count, 3)))))
    return limits, segments


def made(limits: Limits, segments: list[Segment]) -> list[Launch]:
    return list(launches(segments, limits, capacity_for(limits.positions)))


@given(steps(), st.integers(0, 40))
def test_slots_that_are_fed_run_as_if_the_host_had_known_their_token(
    step: tuple[Limits, list[Segment]], count: int
) -> None:
    limits, segments = step
    singles = [segment for segment in segments if len(segment.tokens) == 1 and segment.logits == 1][:count]
    others = [segment for segment in segments if segment not in singles]
    fed = Fed([segment.slot for segment in singles], [segment.start for segment in singles])
    known = [*(segment._replace(tokens=[LAST_DRAWN]) for segment in singles), *others]
    got = list(launches(others, limits, capacity_for(limits.positions), fed))
    for expected, launch in zip(made(limits, known), got, strict=True):
        for name in ("token_ids", "positions", "write_indices", "kv_lengths", "logit_indices"):
            assert np.array_equal(getattr(launch, name), getattr(expected, name)), name
        assert [row for _, row in expected.wanted] == [*launch.fed, *(row for _, row in launch.wanted)]
        assert (launch.profile, launch.first_slot) == (expected.profile, expected.first_slot)
        is_told = launch.profile == PREFILL or any(len(segment.tokens) == 1 for segment in others)
        assert launch.has_known == is_told


@given(steps())
def test_a_step_one_token_on_is_the_step_before_and_its_growth(step: tuple[Limits, list[Segment]]) -> None:
    limits, segments = step
    slots, starts = [each.slot for each in segments], [min(each.start, limits.positions - 2) for each in segments]
    capacity = capacity_for(limits.positions)
    (before,) = launches([], limits, capacity, Fed(slots, starts))
    (after,) = launches([], limits, capacity, Fed(slots, [start + 1 for start in starts]))
    plan = layout(before.sizes, contract(CONFIG, precision_named("float16"), positions=limits.positions))
    assert np.array_equal(plan.pack(before) + plan.growth(before), plan.pack(after))


@given(steps())
def test_every_launch_fits_its_profile(step: tuple[Limits, list[Segment]]) -> None:
    limits, segments = step
    for launch in made(limits, segments):
        assert launch.profile in (DECODE, PREFILL)
        for name, size in limits.profiles[launch.profile].items():
            smallest, _, largest = size
            if name == "logit_rows" and launch.profile == PREFILL:
                largest = max(largest, 1)
            assert smallest <= launch.sizes[name] <= largest, name


@given(steps())
def test_every_write_stays_within_its_slot_and_every_read_within_what_was_written(
    step: tuple[Limits, list[Segment]],
) -> None:
    limits, segments = step
    capacity = capacity_for(limits.positions)
    asked = {segment.slot: segment for segment in segments}
    for launch in made(limits, segments):
        assert launch.first_slot + launch.rows <= limits.max_batch
        for row, (write, length) in enumerate(zip(launch.write_indices, launch.kv_lengths, strict=True)):
            segment = asked.get(launch.first_slot + row)
            assert 0 <= write <= capacity - launch.tokens
            if segment is None or (launch.profile == DECODE and len(segment.tokens) > 1):
                assert write >= limits.positions, "an idle row writes where no sequence can be"
                assert length == 1
            else:
                assert segment.start <= write
                assert write + launch.tokens == length <= segment.end
        assert all(0 <= index < launch.rows * launch.tokens for index in launch.logit_indices)


@given(steps())
def test_every_token_runs_once_in_order_at_its_position(step: tuple[Limits, list[Segment]]) -> None:
    limits, segments = step
    ran: dict[int, list[tuple[int, int]]] = {}
    for launch in made(limits, segments):
        for row in range(launch.rows):
            if launch.write_indices[row] < limits.positions:
                pairs = zip(launch.positions[row], launch.token_ids[row], strict=True)
                ran.setdefault(launch.first_slot + row, []).extend(pairs)
    assert ran == {segment.slot: list(enumerate(segment.tokens, start=segment.start)) for segment in segments}


@given(steps())
def test_the_wanted_logits_are_those_of_the_last_tokens(step: tuple[Limits, list[Segment]]) -> None:
    limits, segments = step
    positions: dict[int, list[int]] = {}
    for launch in made(limits, segments):
        flat = [position for row in launch.positions for position in row]
        for index, row in launch.wanted:
            positions.setdefault(index, []).append(flat[launch.logit_indices[row]])
    for index, segment in enumerate(segments):
        assert positions.get(index, []) == list(range(segment.end - segment.logits, segment.end))


class Looking:
    """Runs nothing and looks at what it is given to run."""

    device = torch.device("cpu")
    uses_graphs = False

    def __init__(self, check: Callable[[Launch, dict[str, torch.Tensor]], None]) -> None:
        self.check, self.launched = check, 0

    def run(self, launch: Launch, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        self.launched += 1
        self.check(launch, tensors)
        return torch.zeros(len(launch.logit_indices), CONFIG.vocabulary)

    def choose(self, _key: Any, function: Callable[[], Choices]) -> Choices:
        return function()

    def forget(self) -> None: ...

    def close(self) -> None: ...


def extent(tensor: torch.Tensor) -> tuple[int, int]:
    """The addresses that a dense tensor takes."""
    return tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes


@given(steps())
def test_whatever_runs_a_launch_is_given_dense_tensors_that_share_no_memory_within_their_buffers(
    step: tuple[Limits, list[Segment]],
) -> None:
    limits, segments = step
    tensors = contract(CONFIG, precision_named("float16"), positions=limits.positions)
    weights = {spec.name: torch.zeros(spec.sized(), dtype=spec.dtype) for spec in tensors.weights}

    def check(launch: Launch, given: dict[str, torch.Tensor]) -> None:
        numbers = executor._numbers
        assert given.keys() == {spec.name for spec in tensors.inputs}
        for spec in tensors.inputs:
            tensor = given[spec.name]
            assert (tuple(tensor.shape), tensor.dtype) == (spec.sized(**launch.sizes), spec.dtype), spec.name
            assert tensor.is_contiguous(), spec.name
        extents = sorted(extent(given[spec.name]) for spec in tensors.inputs)
        assert all(end <= start for (_, end), (start, _) in pairwise(extents))
        for spec in tensors.step:
            first, last = extent(given[spec.name])
            assert first >= numbers.data_ptr()
            assert last <= numbers.data_ptr() + numbers.nbytes
            assert (first - numbers.data_ptr()) % ADDRESS_STEP == 0  # torch aligns the buffers themselves on a GPU
            assert torch.equal(given[spec.name], torch.from_numpy(getattr(launch, spec.name)))
        for spec in tensors.caches:
            buffer = executor.caches[spec.name]
            of_slot = buffer[0].nbytes
            start = extent(given[spec.name])[0] - buffer.data_ptr()
            assert start == launch.first_slot * of_slot
            assert start + launch.rows * of_slot <= buffer.nbytes
            assert start % ADDRESS_STEP == 0
        assert all(given[spec.name].data_ptr() == weights[spec.name].data_ptr() for spec in tensors.weights)

    runner = Looking(check)
    executor = SlotExecutor(runner, tensors, weights, limits=limits, precision="float16")
    executor.forward(segments)
    for slot in range(executor.slots):
        executor.begin(slot, SamplingParameters(temperature=0.0), [0])
    executor.launch(segments, NOBODY_FED, {})
    assert runner.launched == 2 * len(made(limits, segments))


@given(steps(), st.integers(2, 5))
def test_steps_launched_next_are_given_what_launches_of_their_own_would_be(
    step: tuple[Limits, list[Segment]], count: int
) -> None:
    limits, segments = step
    slots = [segment.slot for segment in segments]
    starts = [min(segment.start, max(limits.positions - count, 0)) for segment in segments]
    tensors = contract(CONFIG, precision_named("float16"), positions=limits.positions)
    weights = {spec.name: torch.zeros(spec.sized(), dtype=spec.dtype) for spec in tensors.weights}

    def given_numbers(launch_on: Callable[[SlotExecutor, int], object]) -> list[dict[str, torch.Tensor]]:
        seen: list[dict[str, torch.Tensor]] = []
        runner = Looking(lambda _, given: seen.append({spec.name: given[spec.name].clone() for spec in tensors.step}))
        executor = SlotExecutor(runner, tensors, weights, limits=limits, precision="float16")
        for slot in slots:
            executor.begin(slot, SamplingParameters(temperature=0.0), [0])
        executor.launch([], Fed(slots, starts), {})
        for further in range(1, count):
            launch_on(executor, further)
        return seen

    own = given_numbers(lambda executor, on: executor.launch([], Fed(slots, [start + on for start in starts]), {}))
    following = given_numbers(lambda executor, _: executor.launch_next())
    for expected, got in zip(own, following, strict=True):
        assert all(torch.equal(got[name], numbers) for name, numbers in expected.items())


def test_only_what_was_launched_last_can_be_launched_next() -> None:
    limits = Limits(max_batch=2, max_chunk=4, positions=8)
    tensors = contract(CONFIG, precision_named("float16"), positions=8)
    weights = {spec.name: torch.zeros(spec.sized(), dtype=spec.dtype) for spec in tensors.weights}
    executor = SlotExecutor(Looking(lambda *_: None), tensors, weights, limits=limits, precision="float16")
    between: list[Callable[[], object]] = [
        lambda: executor.begin(1, SamplingParameters(), [0]),
        lambda: executor.forward([Segment(1, 0, [1])]),
        lambda: executor.launch([Segment(1, 0, [1])], Fed([0], [1]), {}),
    ]
    for something in between:
        executor.launch([], Fed([0], [0]), {})
        executor.launch_next()
        something()
        with pytest.raises(ValueError, match="something was done since"):
            executor.launch_next()


@given(st.integers(1, 300))
def test_any_number_of_rows_has_a_batch_size_at_most_twice_as_large(slots: int) -> None:
    sizes = batch_sizes(slots)
    assert sizes[-1] == slots
    for rows in range(1, slots + 1):
        found = batch_size_for(rows, slots)
        assert found == next(size for size in sizes if size >= rows) < 2 * rows


@given(steps())
def test_a_steps_numbers_are_packed_apart_at_addresses_that_tensorrt_takes(step: tuple[Limits, list[Segment]]) -> None:
    limits, segments = step
    tensors = contract(CONFIG, precision_named("float16"), positions=limits.positions)
    for launch in made(limits, segments):
        plan = layout(launch.sizes, tensors)
        packed = plan.pack(launch)
        assert len(packed) == plan.size <= packed_size(tensors, limits)
        end = 0
        for spec in tensors.step:
            part = plan.parts[spec.name]
            assert part.offset * 4 % ADDRESS_STEP == 0
            assert part.offset >= end
            end = part.offset + torch.Size(part.shape).numel()
            values = torch.tensor(packed[part.offset : end]).view(part.shape)
            assert torch.equal(values, torch.tensor(getattr(launch, spec.name)))
