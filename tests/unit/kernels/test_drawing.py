"""The library draws the tokens that numpy draws, from the same logits at the same chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.kernels import build
from inference.kernels.drawing import NativeDraw
from inference.kernels.native import open_library
from inference.sampling import Draw, Sampler, SamplingParameters, draw

VOCABULARY = 49_152
CHANCES = (0.0, 0.01, 0.1, 0.37, 0.5, 0.73, 0.9, 0.999, 1.0 - 2**-53)

parameters = st.builds(
    SamplingParameters,
    temperature=st.sampled_from([2e-6, 0.05, 0.2, 0.8, 1.0, 2.0, 30.0]),
    top_p=st.sampled_from([0.0, 0.05, 0.5, 0.9, 0.95, 0.999, 1.0, 1.0]),
    top_k=st.sampled_from([0, 0, 2, 7, 60, 3_000, 10**6]),
    min_p=st.sampled_from([0.0, 0.0, 0.02, 1.0]),
)


@pytest.fixture(scope="module", params=["native", "portable"])
def native(request: pytest.FixtureRequest) -> Draw:
    try:
        build.find_compiler()
    except build.KernelsUnavailableError:
        pytest.skip("needs a C++ compiler")
    return NativeDraw(open_library(build.compiled(request.param)))


def row_of(*, size: int, seed: int, spread: float, coarse: bool, masked: bool) -> np.ndarray:
    """With `coarse`, thousands of logits are equal; with `masked`, most tokens may not come."""
    chance = np.random.default_rng(seed)
    row = (chance.standard_normal(size) * spread).astype(np.float32)
    if coarse:
        row = row.round(1)
    if masked:
        row[chance.random(size) < 0.9] = -np.inf
        row[seed % size] = spread
    return row


@settings(max_examples=120, deadline=None)
@given(
    how=parameters,
    size=st.sampled_from([1, 2, 97, 257, 4_096, VOCABULARY]),
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.0, 0.1, 2.0, 4.0, 12.0, 1e4]),
    coarse=st.booleans(),
    masked=st.booleans(),
)
def test_it_draws_what_numpy_draws(
    native: Draw, how: SamplingParameters, *, size: int, seed: int, spread: float, coarse: bool, masked: bool
) -> None:
    row = row_of(size=size, seed=seed, spread=spread, coarse=coarse, masked=masked)
    before = row.copy()
    assert [native(row, how, chance) for chance in CHANCES] == [draw(row, how, chance) for chance in CHANCES]
    np.testing.assert_array_equal(row, before)


def test_a_row_that_lies_apart_in_memory_is_read_as_it_is(native: Draw) -> None:
    table = np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32)
    how = SamplingParameters(temperature=0.9, top_p=0.9)
    assert native(table[:, 1], how, 0.6) == draw(table[:, 1], how, 0.6)


def test_a_reply_is_the_same_with_either(native: Draw) -> None:
    how = SamplingParameters(temperature=1.1, top_p=0.95, repetition_penalty=1.2, seed=5)
    one, other = Sampler(how, [3, 4]), Sampler(how, [3, 4])
    for step in range(50):
        row = row_of(size=VOCABULARY, seed=step, spread=2.5, coarse=False, masked=False)
        assert one.choose(row.copy(), drawing=native) == other.choose(row.copy())
