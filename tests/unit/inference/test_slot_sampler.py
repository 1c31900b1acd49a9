"""Many slots at once are sampled as each would be alone on the CPU: the same tokens from the same logits and seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.sampling import Sampler, SamplingParameters, UnusableLogits
from inference.slot_sampler import UNUSABLE, Needs, SlotSampler, needs_of
from tests.unit.inference.test_sampling import expected_distribution

parameters = st.builds(
    SamplingParameters,
    temperature=st.sampled_from([0.0, 1e-40, 2e-6, 0.2, 0.8, 1.0, 2.0]),
    top_p=st.sampled_from([0.0, 0.05, 0.5, 0.9, 0.95, 0.999, 1.0]),
    top_k=st.sampled_from([0, 0, 1, 7, 60, 10_000]),
    min_p=st.sampled_from([0.0, 0.0, 0.02, 1.0]),
    repetition_penalty=st.sampled_from([1.0, 1.0, 1.3, 0.7]),
    frequency_penalty=st.sampled_from([0.0, 0.0, 0.37, -0.5]),
    presence_penalty=st.sampled_from([0.0, 0.0, 0.61]),
    logit_bias=st.dictionaries(st.integers(0, 96), st.sampled_from([-100.0, -1.5, 2.25, 100.0]), max_size=4),
    seed=st.integers(0, 2**64 - 1),
    logprobs=st.sampled_from([None, None, 0, 5]),
)
EVERYTHING = Needs(draws=True, filters=True, penalties=True, biases=True, logprobs=True)
Row = tuple[SamplingParameters, list[int]]
rows = st.tuples(parameters, st.lists(st.integers(0, 96), min_size=1, max_size=9))


def sampler_for(slots: int, vocabulary: int) -> SlotSampler:
    return SlotSampler(slots=slots, vocabulary=vocabulary, device=torch.device("cpu"), upload=lambda tensor: tensor)


def needs_together(script: list[Row]) -> Needs:
    needs = Needs()
    for each, _ in script:
        needs |= needs_of(each)
    return needs


def logits_of(*, steps: int, rows: int, vocabulary: int, seed: int, spread: float, coarse: bool) -> np.ndarray:
    """With `coarse`, many are equal and some forbidden."""
    made = (np.random.default_rng(seed).standard_normal((steps, rows, vocabulary)) * spread).astype(np.float32)
    if coarse:
        made = made.round()
        made[made < -2 * spread] = -np.inf
    return made


def reply(script: list[Row], logits: np.ndarray, needs: Needs) -> list[list[int]]:
    """What the rows say, sampled together."""
    sampler = sampler_for(len(script), logits.shape[2])
    for slot, (each, prompt) in enumerate(script):
        sampler.begin(slot, each, prompt)
    lengths = torch.tensor([len(prompt) for _, prompt in script], dtype=torch.int32)
    said = []
    for step, rows in enumerate(torch.from_numpy(logits)):
        choices = sampler.choose(rows, 0, lengths + step, needs)
        said.append(choices.tokens.tolist())
        if needs.penalties:
            sampler.remember(choices.tokens, torch.arange(len(script)))
    return [list(tokens) for tokens in zip(*said, strict=True)]


def reply_alone(row: Row, logits: np.ndarray) -> list[int]:
    """What one row says, sampled as on a CPU."""
    sampler = Sampler(*row)
    return [sampler.choose(step.copy())[0] for step in logits]


@settings(max_examples=60, deadline=None)
@given(
    script=st.lists(rows, min_size=1, max_size=6),
    seed=st.integers(0, 1000),
    spread=st.sampled_from([0.1, 2.0, 4.0, 12.0]),
    coarse=st.booleans(),
)
def test_rows_together_say_what_each_says_alone_on_the_cpu(
    script: list[Row], *, seed: int, spread: float, coarse: bool
) -> None:
    logits = logits_of(steps=5, rows=len(script), vocabulary=97, seed=seed, spread=spread, coarse=coarse)
    expected = [reply_alone(row, logits[:, slot]) for slot, row in enumerate(script)]
    assert reply(script, logits, needs_together(script)) == expected


@settings(max_examples=4, deadline=None)
@given(
    script=st.lists(rows, min_size=1, max_size=3),
    seed=st.integers(0, 1000),
    spread=st.sampled_from([0.5, 4.0, 9.0]),
    coarse=st.booleans(),
)
def test_the_same_over_a_real_vocabulary(script: list[Row], *, seed: int, spread: float, coarse: bool) -> None:
    logits = logits_of(steps=3, rows=len(script), vocabulary=49_152, seed=seed, spread=spread, coarse=coarse)
    expected = [reply_alone(row, logits[:, slot]) for slot, row in enumerate(script)]
    assert reply(script, logits, needs_together(script)) == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(rows, min_size=2, max_size=6, unique_by=str), st.integers(0, 1000), st.data())
def test_order_and_company_change_nothing(script: list[Row], seed: int, data: st.DataObject) -> None:
    logits = logits_of(steps=4, rows=len(script), vocabulary=97, seed=seed, spread=3.0, coarse=False)
    together = reply(script, logits, EVERYTHING)
    order = data.draw(st.permutations(range(len(script))))
    some = order[: data.draw(st.integers(1, len(script)))]
    again = reply([script[place] for place in some], logits[:, some], EVERYTHING)
    assert again == [together[place] for place in some]


@pytest.mark.parametrize(
    "parameters",
    [
        SamplingParameters(),
        SamplingParameters(temperature=0.7, top_p=0.8),
        SamplingParameters(temperature=1.3, top_k=40, top_p=0.9, min_p=0.02),
    ],
    ids=str,
)
def test_draws_follow_the_distribution_that_transformers_computes(parameters: SamplingParameters) -> None:
    """Chi-square over 20,000 draws, each of its own seed: too far off once in a thousand times, were all well."""
    count, vocabulary = 20_000, 60
    row = (np.random.default_rng(5).standard_normal(vocabulary) * 2).astype(np.float32)
    expected = expected_distribution(row, parameters) * count
    sampler = sampler_for(400, vocabulary)
    counted = np.zeros(vocabulary)
    for first in range(0, count, 400):
        for slot in range(400):
            sampler.begin(slot, replace(parameters, seed=first + slot), [0])
        logits = torch.from_numpy(row).expand(400, -1)
        choices = sampler.choose(logits, 0, torch.ones(400, dtype=torch.int32), needs_of(parameters))
        counted += np.bincount(choices.tokens.numpy(), minlength=vocabulary)
    assert not counted[expected == 0].any()
    frequent = expected >= 5
    off = ((counted - expected)[frequent] ** 2 / expected[frequent]).sum()
    freedom = frequent.sum() - 1
    assert off < freedom + 3.1 * np.sqrt(2 * freedom) + 6


def test_a_part_of_the_slots_can_be_sampled_and_a_slot_begun_anew_remembers_nothing() -> None:
    sampler = sampler_for(4, 10)
    for _ in range(2):
        sampler.begin(2, SamplingParameters(temperature=0.0, presence_penalty=5.0, logit_bias={4: 3.0}), [7])
        row = torch.zeros(1, 10)
        row[0, 4] = 1.0
        needs = Needs(penalties=True, biases=True)
        first = sampler.choose(row, 2, torch.tensor([1]), needs).tokens
        assert first.tolist() == [4]
        sampler.remember(first, torch.tensor([2]))
        assert sampler.choose(row, 2, torch.tensor([2]), needs).tokens.tolist() == [0]
    sampler.begin(2, SamplingParameters(temperature=0.0), [7])
    row[0, 3] = 2.0
    assert sampler.choose(row, 2, torch.tensor([1]), Needs(penalties=True, biases=True)).tokens.tolist() == [3]


def test_a_mask_forbids_and_a_row_that_offers_nothing_is_marked() -> None:
    sampler = sampler_for(3, 5)
    for slot in range(3):
        sampler.begin(slot, SamplingParameters(seed=slot), [1])
    logits = torch.tensor([[9.0, 0.0, 1.0, 0.0, 0.0], [float("nan")] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]])
    allowed = torch.tensor([[False, False, True, False, False], [True] * 5, [False] * 5])
    choices = sampler.choose(logits, 0, torch.tensor([1, 1, 1]), Needs(draws=True), allowed)
    assert choices.tokens.tolist() == [2, UNUSABLE, UNUSABLE]
    with pytest.raises(UnusableLogits):
        Sampler(SamplingParameters(), [1]).choose(logits[1].numpy())


def test_reports_hold_the_models_own_probabilities() -> None:
    row = (np.random.default_rng(5).standard_normal(300) * 3).astype(np.float32)
    wanted = SamplingParameters(temperature=0.3, top_k=3, seed=8, logprobs=4, frequency_penalty=1.0)
    sampler = sampler_for(1, 300)
    sampler.begin(0, wanted, [1, 2])
    choices = sampler.choose(torch.from_numpy(row).unsqueeze(0), 0, torch.tensor([2]), needs_of(wanted))
    token, expected = Sampler(wanted, [1, 2]).choose(row.copy())
    assert expected is not None
    assert choices.tokens.tolist() == [token]
    report = choices.report(0, 4)
    assert report is not None
    assert report.logprob == pytest.approx(expected.logprob)
    assert [index for index, _ in report.top] == [index for index, _ in expected.top]
    assert [value for _, value in report.top] == pytest.approx([value for _, value in expected.top])
