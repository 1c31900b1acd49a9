"""Choosing the next token from a row of logits: penalties, filters, and a draw that the seed alone decides."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference import token_weights
from inference.philox import uniform
from inference.token_weights import FARTHEST, UNIT

Row = NDArray[np.float32]
Weights = NDArray[np.float64]
Mask = NDArray[np.bool_]
MASK_64 = (1 << 64) - 1
BUCKET_SHIFT = token_weights.FINE_BITS - 3
BLOCK = 256
LEAST_TEMPERATURE = 1e-6
LEAST_LOGPROB = -9999.0
"""JSON has no minus infinity; OpenAI writes this for tokens that cannot come."""


class UnusableLogits(Exception):  # noqa: N818
    """No token can be chosen: the model or the request's biases made every logit NaN or minus infinity."""


@dataclass(frozen=True)
class SamplingParameters:
    """How to choose tokens. `logprobs` is the number of alternatives to report, or None for no report at all."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: dict[int, float] = field(default_factory=dict)
    seed: int = 0
    logprobs: int | None = None

    def __post_init__(self) -> None:
        # Divided by it, a difference of logits would be no number any more; and nothing but the best token can come.
        if self.temperature < LEAST_TEMPERATURE:
            object.__setattr__(self, "temperature", 0.0)

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0.0 or self.top_k == 1


@dataclass(frozen=True)
class TokenLogprob:
    """The log-probability of the chosen token, and of the likeliest ones, by token id."""

    logprob: float
    top: tuple[tuple[int, float], ...]


Draw = Callable[[Row, SamplingParameters, float], int]
"""As `draw`: any other gives the same tokens."""


class Sampler:
    """The state of one reply's choices: what it has said so far, and its place in the random stream."""

    def __init__(self, parameters: SamplingParameters, prompt: Sequence[int]) -> None:
        self.parameters = parameters
        self._said: Counter[int] = Counter()
        self._drawn = 0
        penalises_prompt = parameters.repetition_penalty != 1.0
        self._seen: set[int] = set(prompt) if penalises_prompt else set()
        self._bias_ids = np.fromiter(parameters.logit_bias.keys(), dtype=np.int64)
        self._bias_values = np.fromiter(parameters.logit_bias.values(), dtype=np.float32)

    def choose(
        self, row: Row, allowed: NDArray[np.bool_] | None = None, *, drawing: Draw | None = None
    ) -> tuple[int, TokenLogprob | None]:
        """The next token from `row` [vocabulary], which is changed in place. Raises UnusableLogits.

        `drawing` takes the place of `draw`.
        """
        parameters = self.parameters
        report = None if parameters.logprobs is None else _log_softmax(row)
        self._penalise(row)
        if allowed is not None:
            row[: len(allowed)][~allowed[: len(row)]] = -np.inf
            row[len(allowed) :] = -np.inf
        token = int(row.argmax())
        if not math.isfinite(row[token]):
            raise UnusableLogits
        if not parameters.is_greedy:
            token = (drawing or draw)(row, parameters, uniform(parameters.seed, self._drawn))
        self._drawn += 1
        self._remember(token)
        return token, None if report is None else _report(report, token, parameters.logprobs or 0)

    def _remember(self, token: int) -> None:
        self._said[token] += 1
        if self.parameters.repetition_penalty != 1.0:
            self._seen.add(token)

    def _penalise(self, row: Row) -> None:
        parameters = self.parameters
        if self._seen:
            seen = np.fromiter(self._seen, dtype=np.int64)
            logits = row[seen]
            penalty = np.float32(parameters.repetition_penalty)
            row[seen] = np.where(logits > 0, logits / penalty, logits * penalty)
        if self._said and (parameters.frequency_penalty or parameters.presence_penalty):
            said = np.fromiter(self._said.keys(), dtype=np.int64)
            counts = np.fromiter(self._said.values(), dtype=np.float32)
            row[said] -= counts * parameters.frequency_penalty + np.float32(parameters.presence_penalty)
        if len(self._bias_ids):
            row[self._bias_ids] += self._bias_values


def draw(row: Row, parameters: SamplingParameters, chance: float) -> int:
    """A token drawn by inverting, at `chance` in [0, 1), the distribution that the parameters leave of `row`.

    slot_sampler.py draws the same token from the same logits, for many rows at once on a device.

    Nothing is sorted but the few tokens at the edge of the nucleus: over thousands of candidates, sorting would take
    most of the time of a step with many replies.
    """
    best = np.float32(row.max())
    ids = _candidates(row, best, parameters)
    if 0 < parameters.top_k < len(ids):
        ids = ids[_likeliest(row[ids], parameters.top_k)]
    distances = token_weights.distances(row[ids], best, parameters.temperature)
    weights = token_weights.weights(distances)
    kept = weights >= parameters.min_p * UNIT
    if parameters.top_p < 1.0:
        whole = weights.sum() if parameters.top_k > 0 else _whole_weight(row, best, ids, weights, parameters)
        kept &= _nucleus(row[ids], distances, weights, parameters.top_p * whole)
    if not kept.all():
        ids, weights = ids[kept], weights[kept]
    return int(ids[_invert(weights, chance)])


def candidate_reach(parameters: SamplingParameters, vocabulary: int) -> float:
    """How far below the best, in logits, a token may lie that is drawn.

    With top_p, a token below (1 - top_p) / vocabulary of the best one's weight is never in the nucleus, for all such
    tokens together weigh less than 1 - top_p of the whole.
    """
    reach = FARTHEST
    if parameters.top_p < 1.0:
        reach = min(reach, math.log(vocabulary / max(1.0 - parameters.top_p, 1e-12)))
    elif parameters.min_p > 0.0:
        reach = min(reach, -math.log(parameters.min_p) + 1e-3)
    return reach * parameters.temperature


def _candidates(row: Row, best: np.float32, parameters: SamplingParameters) -> NDArray[np.int64]:
    """The tokens that can be drawn, and some more."""
    ids = np.flatnonzero(row >= np.float32(float(best) - candidate_reach(parameters, len(row))))
    if len(ids) < parameters.top_k:  # top_k counts first: its tokens are what top_p takes a share of
        ids = np.flatnonzero(row >= np.float32(float(best) - FARTHEST * parameters.temperature))
    return ids


def _whole_weight(
    row: Row, best: np.float32, ids: NDArray[np.int64], weights: Weights, parameters: SamplingParameters
) -> float:
    """The weight of all tokens; of those that are no candidates, roughly."""
    temperature = parameters.temperature
    rough = token_weights.rough_sum(row[ids], best, temperature)
    return token_weights.rough_sum(row, best, temperature) - rough + float(weights.sum())


def _likeliest(logits: Row, count: int) -> Mask:
    """Which are the `count` largest; among equals, the first."""
    smallest = np.partition(logits, len(logits) - count)[len(logits) - count]
    kept: Mask = logits > smallest
    equals = np.flatnonzero(logits == smallest)
    kept[equals[: count - int(kept.sum())]] = True
    return kept


def _nucleus(logits: Row, distances: NDArray[np.int64], weights: Weights, wanted: float) -> Mask:
    """Which are the fewest likeliest whose weights come to `wanted`; among equals, the first.

    Weights are added up in buckets of similar size; only the bucket where the sum is reached needs an order.
    """
    buckets = distances >> BUCKET_SHIFT
    mass = np.cumsum(np.bincount(buckets, weights=weights))
    edge = min(int(np.searchsorted(mass, wanted)), len(mass) - 1)
    kept: Mask = buckets < edge
    members = np.flatnonzero(buckets == edge)
    members = members[np.argsort(-logits[members], kind="stable")]
    reached = np.cumsum(weights[members]) + (mass[edge - 1] if edge else 0.0)
    kept[members[: int(np.searchsorted(reached, wanted)) + 1]] = True
    return kept


def _invert(weights: Weights, chance: float) -> int:
    """The index at which `chance` of all the weight is passed: first the block, then the place in it."""
    starts = np.arange(0, len(weights), BLOCK)
    mass = np.cumsum(np.add.reduceat(weights, starts))
    target = chance * mass[-1]
    block = min(int(np.searchsorted(mass, target, side="right")), len(starts) - 1)
    inside = np.cumsum(weights[starts[block] : starts[block] + BLOCK])
    place = int(np.searchsorted(inside, target - (mass[block - 1] if block else 0.0), side="right"))
    return int(starts[block]) + min(place, len(inside) - 1)


def child_seed(seed: int, choice: int) -> int:
    """The seed of the `choice`-th reply to one request; choice 0 keeps the request's own."""
    return seed if choice == 0 else _mix((seed + choice * 0x632BE59BD9B4E019) & MASK_64) >> 1


def _mix(value: int) -> int:
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014)."""
    value = (value + 0x9E3779B97F4A7C15) & MASK_64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK_64
    return value ^ (value >> 31)


def _log_softmax(row: Row) -> NDArray[Any]:
    shifted = row.astype(np.float64) - row.max()
    normalised: NDArray[Any] = shifted - np.log(np.exp(shifted).sum())
    return normalised


def _report(log_probabilities: NDArray[Any], token: int, count: int) -> TokenLogprob:
    top: list[int] = []
    count = min(count, len(log_probabilities))
    if count:
        likely = np.argpartition(log_probabilities, -count)[-count:]
        top = [int(index) for index in likely[np.argsort(-log_probabilities[likely], kind="stable")]]
    pairs = tuple((index, _finite(log_probabilities[index])) for index in top)
    return TokenLogprob(logprob=_finite(log_probabilities[token]), top=pairs)


def _finite(log_probability: float) -> float:
    return max(float(log_probability), LEAST_LOGPROB)
