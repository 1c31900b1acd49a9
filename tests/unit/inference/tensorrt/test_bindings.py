"""Whatever the scheduler asks for, every launch stays inside its buffers, its profile and its own slots."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.config import ModelConfig
from inference.executor.base import Fed, Segment
from inference.tensorrt.bindings import (
    ADDRESS_STEP,
    LAST_DRAWN,
    Launch,
    batch_size_for,
    batch_sizes,
    cache_regions,
    launches,
    layout,
    packed_size,
    strides,
)
from inference.tensorrt.contract import capacity_for, contract
from inference.tensorrt.precision import precision_named
from inference.tensorrt.profiles import DECODE, PREFILL, Limits

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


@given(steps())
def test_rows_share_no_memory_and_updates_are_in_place(step: tuple[Limits, list[Segment]]) -> None:
    limits, segments = step
    tensors = contract(CONFIG, precision_named("float16"), positions=limits.positions)
    for launch in made(limits, segments):
        regions = cache_regions(tensors, launch)
        for spec in tensors.caches:
            whole = torch.Size(spec.sized(rows=limits.max_batch)).numel() * spec.dtype.itemsize
            region = regions[spec.name]
            assert region.offset >= 0
            assert region.offset + region.size <= whole
            assert region.size * limits.max_batch == whole * launch.rows
        for spec in tensors.outputs[1:]:
            assert regions[spec.name] == regions[spec.alias]


@given(st.integers(1, 300))
def test_any_number_of_rows_has_a_batch_size_at_most_twice_as_large(slots: int) -> None:
    sizes = batch_sizes(slots)
    assert sizes[-1] == slots
    for rows in range(1, slots + 1):
        found = batch_size_for(rows, slots)
        assert found == next(size for size in sizes if size >= rows) < 2 * rows


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_strides_are_those_of_a_dense_tensor(shape: list[int]) -> None:
    assert strides(shape) == torch.empty(shape).stride()


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
        for spec in tensors.caches:
            assert cache_regions(tensors, launch)[spec.name].offset % ADDRESS_STEP == 0
