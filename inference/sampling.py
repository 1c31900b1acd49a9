"""Choosing the next token from a row of logits: penalties, filters, and a draw that the seed alone decides."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]
MASK_64 = (1 << 64) - 1
# Tokens this far below the best, in logits, weigh less than one part in 2^53 of the whole even when all of them are.
NEGLIGIBLE_LOGITS = 37.0


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

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0.0 or self.top_k == 1


@dataclass(frozen=True)
class TokenLogprob:
    """The log-probability of the chosen token, and of the likeliest ones, by token id."""

    logprob: float
    top: tuple[tuple[int, float], ...]


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

    def choose(self, row: Row, allowed: NDArray[np.bool_] | None = None) -> tuple[int, TokenLogprob | None]:
        """The next token from `row` [vocabulary], which is changed in place. Raises UnusableLogits."""
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
            token = draw(row, parameters, uniform(parameters.seed, self._drawn))
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
    """A token drawn by inverting the distribution at `chance` in [0, 1), likeliest tokens first.

    Only tokens that can matter are looked at: with top_p, a token below (1 - top_p) / vocabulary of the best one's
    weight is never in the nucleus, for all such tokens together weigh less than 1 - top_p.
    """
    best = float(row.max())
    ids = _candidates(row, best, parameters)
    scaled = (row[ids].astype(np.float64) - best) / parameters.temperature
    order = np.lexsort((ids, -scaled))
    if parameters.top_k > 0:
        order = order[: parameters.top_k]
    ids, weights = ids[order], np.exp(scaled[order])
    mass = np.cumsum(weights)
    kept = len(ids)
    if parameters.top_p < 1.0:
        kept = int(np.searchsorted(mass, parameters.top_p * mass[-1])) + 1
    if parameters.min_p > 0.0:
        kept = min(kept, int(np.searchsorted(-weights, -parameters.min_p, side="right")))
    kept = max(1, min(kept, len(ids)))
    index = int(np.searchsorted(mass[:kept], chance * mass[kept - 1], side="right"))
    return int(ids[min(index, kept - 1)])


def _candidates(row: Row, best: float, parameters: SamplingParameters) -> NDArray[np.int64]:
    if parameters.top_p < 1.0:
        reach = math.log(len(row) / max(1.0 - parameters.top_p, 1e-12))
    elif parameters.min_p > 0.0:
        reach = -math.log(parameters.min_p) + 1e-3
    else:
        reach = math.log(len(row)) + NEGLIGIBLE_LOGITS
    ids = np.flatnonzero(row >= np.float32(best - reach * parameters.temperature))
    if 0 < parameters.top_k < len(ids):
        smallest = np.partition(row[ids], len(ids) - parameters.top_k)[len(ids) - parameters.top_k]
        ids = ids[row[ids] >= smallest]
    return ids


def uniform(seed: int, index: int) -> float:
    """The `index`-th number in [0, 1) of the stream that `seed` names; no state, so nothing else can disturb it."""
    return (_mix(_mix(seed & MASK_64) + index) >> 11) * 2.0**-53


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
    if count:
        likely = np.argpartition(log_probabilities, -count)[-count:]
        top = [int(index) for index in likely[np.argsort(-log_probabilities[likely], kind="stable")]]
    pairs = tuple((index, float(log_probabilities[index])) for index in top)
    return TokenLogprob(logprob=float(log_probabilities[token]), top=pairs)
