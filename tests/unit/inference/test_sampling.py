"""Tokens are drawn from the distribution that the parameters describe, and by nothing but the seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from inference.sampling import Sampler, SamplingParameters, UnusableLogits, child_seed, draw

VOCABULARY = 300


def random_row(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(VOCABULARY) * 3).astype(np.float32)


def expected_distribution(row: np.ndarray, parameters: SamplingParameters) -> np.ndarray:
    """What transformers' own filters leave, in its order."""
    steps = LogitsProcessorList([TemperatureLogitsWarper(parameters.temperature)])
    if parameters.top_k:
        steps.append(TopKLogitsWarper(parameters.top_k))
    if parameters.top_p < 1.0:
        steps.append(TopPLogitsWarper(parameters.top_p))
    if parameters.min_p:
        steps.append(MinPLogitsWarper(parameters.min_p))
    scores = steps(torch.zeros(1, 1, dtype=torch.long), torch.from_numpy(row.copy()).double().unsqueeze(0))
    return scores.softmax(-1)[0].numpy()


@pytest.mark.parametrize(
    "parameters",
    [
        SamplingParameters(),
        SamplingParameters(temperature=0.7),
        SamplingParameters(top_p=0.8),
        SamplingParameters(top_k=5),
        SamplingParameters(min_p=0.1),
        SamplingParameters(temperature=1.3, top_k=40, top_p=0.9, min_p=0.02),
    ],
    ids=str,
)
def test_draws_follow_the_distribution_that_transformers_computes(parameters: SamplingParameters) -> None:
    row = random_row(1)
    expected = expected_distribution(row, parameters)
    draws = 4000
    # Evenly spread chances measure the inverse distribution itself: the error is one grid cell a token.
    tokens = [draw(row, parameters, (index + 0.5) / draws) for index in range(draws)]
    counted = np.bincount(tokens, minlength=VOCABULARY) / draws
    np.testing.assert_allclose(counted, expected, atol=2 / draws)
    assert not counted[expected == 0].any()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    spread=st.sampled_from([0.5, 2.0, 4.0, 9.0]),
    temperature=st.sampled_from([0.3, 0.8, 1.0, 2.0]),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 0.95, 0.999, 1.0]),
    top_k=st.sampled_from([0, 7, 300]),
    min_p=st.sampled_from([0.0, 0.02]),
    coarse=st.booleans(),
)
def test_a_draw_over_a_real_vocabulary_is_that_of_a_full_sort(
    *, seed: int, spread: float, temperature: float, top_p: float, top_k: int, min_p: float, coarse: bool
) -> None:
    """The shortcuts change nothing: every kept token is exactly as likely as when all 49,152 are put in order."""
    row = (np.random.default_rng(seed).standard_normal(49_152) * spread).astype(np.float32)
    if coarse:
        row = row.round(1)  # thousands of equal logits
    parameters = SamplingParameters(temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p)

    order = np.argsort(-row, kind="stable")
    weights = np.exp((row[order].astype(np.float64) - row.max()) / temperature)
    if top_k:
        order, weights = order[:top_k], weights[:top_k]
    kept = weights >= min_p
    if top_p < 1.0:
        kept &= np.cumsum(weights) - weights < top_p * weights.sum()
    by_id = np.argsort(order[kept])
    ids, weights = order[kept][by_id], weights[kept][by_id]
    edges = np.cumsum(weights) / weights.sum()

    for chance in (0.0, 0.1, 0.37, 0.5, 0.73, 0.9, 0.999):
        drawn = int(np.searchsorted(ids, draw(row, parameters, chance)))
        lower = edges[drawn - 1] if drawn else 0.0
        # The whole weight is summed in float32: at the edge of a large nucleus a token more or less may be kept.
        assert lower - 1e-4 <= chance <= edges[min(drawn, len(edges) - 1)] + 1e-4


def test_choices_of_one_request_have_seeds_of_their_own() -> None:
    assert len({child_seed(9, choice) for choice in range(100)}) == 100
    assert child_seed(9, 0) == 9


def test_the_repetition_penalty_is_that_of_transformers() -> None:
    row = random_row(3)
    prompt = [1, 5, 5, 200]
    expected = RepetitionPenaltyLogitsProcessor(1.7)(torch.tensor([prompt]), torch.from_numpy(row.copy()).unsqueeze(0))
    sampler = Sampler(SamplingParameters(temperature=0.0, repetition_penalty=1.7), prompt)
    changed = row.copy()
    sampler.choose(changed)
    np.testing.assert_allclose(changed, expected[0].numpy(), rtol=1e-6)


def test_frequency_and_presence_penalties_count_the_reply_alone() -> None:
    sampler = Sampler(SamplingParameters(temperature=0.0, frequency_penalty=0.5, presence_penalty=0.25), prompt=[7])
    row = np.zeros(10, dtype=np.float32)
    row[3] = 10.0
    assert sampler.choose(row.copy())[0] == 3
    assert sampler.choose(row.copy())[0] == 3
    third = row.copy()
    sampler.choose(third)
    assert third[3] == pytest.approx(10.0 - 2 * 0.5 - 0.25)
    assert third[7] == 0.0


def test_a_bias_can_force_and_forbid() -> None:
    row = random_row(4)
    best = int(row.argmax())
    forced = Sampler(SamplingParameters(temperature=0.0, logit_bias={17: 100.0}), [])
    forbidden = Sampler(SamplingParameters(temperature=0.0, logit_bias={best: -100.0}), [])
    assert forced.choose(row.copy())[0] == 17
    assert forbidden.choose(row.copy())[0] != best


@pytest.mark.parametrize("temperature", [1e-7, 1e-40, 5e-324])
def test_a_temperature_next_to_nothing_is_none(temperature: float) -> None:
    row = random_row(6)
    chosen, _ = Sampler(SamplingParameters(temperature=temperature, top_p=0.9), []).choose(row.copy())
    assert chosen == int(row.argmax())


def test_logprobs_are_those_of_the_model_whatever_the_parameters() -> None:
    row = random_row(5)
    expected = torch.from_numpy(row).double().log_softmax(-1)
    sampler = Sampler(SamplingParameters(temperature=0.3, top_k=3, seed=8, logprobs=4), [])
    token, logprob = sampler.choose(row.copy())
    assert logprob is not None
    assert logprob.logprob == pytest.approx(float(expected[token]), abs=1e-6)
    values, ids = expected.topk(4)
    assert [index for index, _ in logprob.top] == ids.tolist()
    assert [value for _, value in logprob.top] == pytest.approx(values.tolist(), abs=1e-6)


def test_a_token_that_cannot_come_is_reported_in_a_number_that_json_has() -> None:
    row = np.array([0.0, -np.inf, 1.0], dtype=np.float32)
    _, logprob = Sampler(SamplingParameters(temperature=0.0, logprobs=20), []).choose(row)
    assert logprob is not None
    assert [index for index, _ in logprob.top] == [2, 0, 1]
    assert logprob.top[-1][1] == -9999.0


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), float("inf")])
def test_rows_that_offer_nothing_are_refused(value: float) -> None:
    row = np.full(10, value, dtype=np.float32)
    with pytest.raises(UnusableLogits):
        Sampler(SamplingParameters(), []).choose(row)
