"""Choosing tokens for many slots at once, in torch, where their logits are: what sampling.py does for one row on CPUs.

From the same logits it chooses the same tokens: the generator is the same to the bit, weights are whole numbers from
the same tables, and every comparison is made on the same numbers. No operation waits for the device or has a size that
depends on what it computes, so a step can be recorded once and replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from inference import token_weights
from inference.philox import BITS, WORD, random_bits, seed_words
from inference.sampling import LEAST_LOGPROB, SamplingParameters, TokenLogprob, candidate_reach
from inference.token_weights import FARTHEST, LAST, SHIFT, UNIT

MOST_LOGPROBS = 20
UNUSABLE = -1
"""In place of a token: every logit was NaN or minus infinity."""
RADIX = ((21, 11), (10, 11), (0, 10))
"""The digits that a key of 32 bits is looked at by: how far each is up, and its bits."""

Upload = Callable[[torch.Tensor], torch.Tensor]


class Needs(NamedTuple):
    """Which parts of sampling some row of a step wants; what nobody wants is not computed."""

    draws: bool = False
    filters: bool = False
    penalties: bool = False
    biases: bool = False
    logprobs: bool = False

    def __or__(self, other: Needs) -> Needs:
        return Needs(*(ours or theirs for ours, theirs in zip(self, other, strict=True)))


def needs_of(parameters: SamplingParameters) -> Needs:
    """What one reply wants."""
    draws = not parameters.is_greedy
    has_counts = parameters.frequency_penalty != 0.0 or parameters.presence_penalty != 0.0
    return Needs(
        draws=draws,
        filters=draws and (parameters.top_k > 0 or parameters.top_p < 1.0),
        penalties=has_counts or parameters.repetition_penalty != 1.0,
        biases=bool(parameters.logit_bias),
        logprobs=parameters.logprobs is not None,
    )


@dataclass(frozen=True)
class Choices:
    """One row's choice each: token ids (UNUSABLE where there is none), and, if wanted, what report they come with.

    `logprobs` [rows, 1 + MOST_LOGPROBS] holds the token's own and the likeliest ones', `top` the latter's ids.
    """

    tokens: torch.Tensor
    logprobs: torch.Tensor | None = None
    top: torch.Tensor | None = None

    def report(self, row: int, count: int | None) -> TokenLogprob | None:
        """The report on one row's token, with so many alternatives; the tensors must be on the host."""
        if count is None or self.logprobs is None or self.top is None:
            return None
        own, *others = (max(value, LEAST_LOGPROB) for value in self.logprobs[row, : 1 + count].tolist())
        return TokenLogprob(own, tuple(zip(self.top[row, :count].tolist(), others, strict=True)))


FIELDS = (
    "is_greedy",
    "scale",
    "rough_slope",
    "reach",
    "min_weight",
    "top_p",
    "top_k",
    "repetition",
    "frequency",
    "presence",
)
Fields = dict[str, torch.Tensor]
"""Each of FIELDS for every row, [rows, 1]."""


class SlotSampler:
    """How each slot's reply is sampled, and what it has said, on `device`. `upload` brings small tensors there."""

    def __init__(self, *, slots: int, vocabulary: int, device: torch.device, upload: Upload) -> None:
        self.slots = slots
        self.vocabulary = vocabulary
        self.device = device
        self._upload = upload
        self._numbers = torch.zeros(slots, len(FIELDS), dtype=torch.float64, device=device)
        # Seed, low and high word, and the length of the prompt, from where on tokens are counted.
        self._integers = torch.zeros(slots, 3, dtype=torch.int64, device=device)
        self._coarse, self._fine, self._rough = (
            torch.from_numpy(table).to(device)
            for table in (token_weights.COARSE, token_weights.FINE, token_weights.ROUGH)
        )
        self._ids = torch.arange(vocabulary, device=device)
        self._said_in: set[int] = set()
        self._biased: set[int] = set()

    @cached_property
    def _said(self) -> torch.Tensor:
        """How often each slot's reply holds each token. The first reply with a penalty makes it."""
        return torch.zeros(self.slots, self.vocabulary, dtype=torch.int32, device=self.device)

    @cached_property
    def _seen(self) -> torch.Tensor:
        """Which tokens the repetition penalty is for: those of the prompt; those of the reply are in `_said`."""
        return torch.zeros(self.slots, self.vocabulary, dtype=torch.bool, device=self.device)

    @cached_property
    def _bias(self) -> torch.Tensor:
        return torch.zeros(self.slots, self.vocabulary, device=self.device)

    def begin(self, slot: int, parameters: SamplingParameters, prompt: Sequence[int]) -> None:
        """From now on `slot` holds a new reply, which is sampled so."""
        temperature = parameters.temperature or 1.0
        reach = FARTHEST * temperature if parameters.top_k else candidate_reach(parameters, self.vocabulary)
        row: dict[str, Any] = {
            "is_greedy": parameters.is_greedy,
            "scale": token_weights.distance_scale(temperature),
            "rough_slope": token_weights.rough_line(np.float32(0), temperature)[0],
            "reach": reach if parameters.temperature else 0.0,
            "min_weight": parameters.min_p * UNIT,
            "top_p": parameters.top_p,
            "top_k": parameters.top_k or self.vocabulary,
            "repetition": np.float32(parameters.repetition_penalty),
            "frequency": np.float32(parameters.frequency_penalty),
            "presence": np.float32(parameters.presence_penalty),
        }
        numbers = torch.tensor([float(row[name]) for name in FIELDS], dtype=torch.float64)
        integers = torch.tensor([*seed_words(parameters.seed), len(prompt)], dtype=torch.int64)
        self._numbers[slot].copy_(self._upload(numbers))
        self._integers[slot].copy_(self._upload(integers))
        self._begin_penalties(slot, parameters, prompt)
        if slot in self._biased:
            self._bias[slot].zero_()
            self._biased.discard(slot)
        if parameters.logit_bias:
            ids = self._upload(torch.tensor(list(parameters.logit_bias), dtype=torch.int64))
            values = self._upload(torch.tensor(list(parameters.logit_bias.values()), dtype=torch.float32))
            self._bias[slot].index_copy_(0, ids, values)
            self._biased.add(slot)

    def _begin_penalties(self, slot: int, parameters: SamplingParameters, prompt: Sequence[int]) -> None:
        is_penalised = needs_of(parameters).penalties
        if slot in self._said_in or is_penalised:
            self._said[slot].zero_()
            self._seen[slot].zero_()
            self._said_in.discard(slot)
        if is_penalised:
            self._said_in.add(slot)
            if parameters.repetition_penalty != 1.0:
                ids = self._upload(torch.tensor(sorted(set(prompt)), dtype=torch.int64))
                self._seen[slot].index_fill_(0, ids, value=True)

    def choose(
        self,
        logits: torch.Tensor,
        first_slot: int,
        lengths: torch.Tensor,
        needs: Needs,
        allowed: torch.Tensor | None = None,
    ) -> Choices:
        """A token for each row of `logits` [rows, vocabulary], which belong to neighbouring slots from `first_slot` on.

        `lengths` are the tokens before it, the prompt's among them. Nothing of a slot is changed: see `remember`.
        """
        part = slice(first_slot, first_slot + len(logits))
        fields = dict(zip(FIELDS, self._numbers[part].unsqueeze(2).unbind(1), strict=True))
        changed = self._penalised(logits, part, fields, needs)
        if allowed is not None:
            changed = changed.masked_fill(~allowed, -torch.inf)
        best = changed.amax(1, keepdim=True)
        tokens = torch.where(changed == best, self._ids, self.vocabulary).amin(1)
        if needs.draws:
            low, high, prompts = self._integers[part].unbind(1)
            chance = random_bits(low, high, lengths.long() - prompts & WORD).double() * 2.0**-BITS
            drawn = self._drawn(changed, best, fields, needs, chance.unsqueeze(1))
            tokens = torch.where(fields["is_greedy"].squeeze(1) > 0, tokens, drawn)
        tokens = torch.where(best.squeeze(1).isfinite(), tokens, UNUSABLE)
        return self._reported(tokens, logits) if needs.logprobs else Choices(tokens)

    def remember(self, tokens: torch.Tensor, slots: torch.Tensor) -> None:
        """Count one token for each of these slots (distinct), which said it. Needed only where there are penalties."""
        one = torch.ones((), dtype=torch.int32, device=self.device)
        self._said.index_put_((slots, tokens.clamp(min=0)), one, accumulate=True)

    def _penalised(self, logits: torch.Tensor, part: slice, fields: Fields, needs: Needs) -> torch.Tensor:
        if needs.penalties:
            said = self._said[part]
            penalty, is_said = fields["repetition"].float(), said > 0
            repeated = torch.where(logits > 0, logits / penalty, logits * penalty)
            logits = torch.where(self._seen[part] | is_said, repeated, logits)
            amount = said.float() * fields["frequency"].float() + fields["presence"].float()
            logits = torch.where(is_said, logits - amount, logits)
        return logits + self._bias[part] if needs.biases else logits

    def _drawn(
        self, logits: torch.Tensor, best: torch.Tensor, fields: Fields, needs: Needs, chance: torch.Tensor
    ) -> torch.Tensor:
        distance = ((logits - best) * fields["scale"].float()).clamp(max=float(LAST)).nan_to_num().long()
        weights = (self._coarse[distance >> SHIFT] * self._fine[distance & ((1 << SHIFT) - 1)]).round()
        kept = logits >= (best.double() - fields["reach"]).float()
        if needs.filters:
            kept &= self._filtered(logits, best, weights, kept, fields)
        kept &= weights >= fields["min_weight"]
        mass = torch.where(kept, weights, 0.0).cumsum(1)
        place = (mass <= chance * mass[:, -1:]).sum(1)
        return place.clamp(max=self.vocabulary - 1)

    def _filtered(
        self, logits: torch.Tensor, best: torch.Tensor, weights: torch.Tensor, near: torch.Tensor, fields: Fields
    ) -> torch.Tensor:
        """Which tokens top_k and top_p leave."""
        keys = sort_keys(logits)
        one = torch.ones((), dtype=torch.float64, device=self.device)
        likeliest = most(keys, one.expand_as(weights), fields["top_k"])
        slope = fields["rough_slope"].float()
        places = (logits * slope + (float(len(self._rough) - 1) - best * slope)).nan_to_num(neginf=0.0)
        rough = self._rough[places.clamp(0, len(self._rough) - 1).long()]
        has_top_k = fields["top_k"] < self.vocabulary
        whole = torch.where(has_top_k, torch.where(likeliest, weights, 0.0), torch.where(near, weights, rough)).sum(1)
        share = torch.where(likeliest & near, weights, 0.0)
        nucleus = most(keys, share, fields["top_p"] * whole.unsqueeze(1))
        return likeliest & (nucleus | (fields["top_p"] >= 1.0))

    @staticmethod
    def _reported(tokens: torch.Tensor, logits: torch.Tensor) -> Choices:
        """Log-probabilities are the model's own, before penalties."""
        logs = logits.double().log_softmax(1)
        values, ids = logs.topk(min(MOST_LOGPROBS, logs.shape[1]), dim=1)
        own = logs.gather(1, tokens.clamp(min=0).unsqueeze(1))
        return Choices(tokens, torch.cat([own, values], dim=1), ids)


def sort_keys(logits: torch.Tensor) -> torch.Tensor:
    """Whole numbers from 0 to 2^32 - 1 in the order of the logits."""
    bits = (logits + 0.0).view(torch.int32).long() & WORD  # minus zero becomes zero
    return torch.where(bits >> 31 > 0, WORD - bits, bits + (1 << 31))


def most(keys: torch.Tensor, amounts: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Which are the fewest of the largest keys of each row whose amounts come to `wanted`; among equals, the first.

    Eleven bits of the key are settled at a time, by adding up the amounts for each value they can have: exact, for the
    amounts are whole numbers, and without sorting. Where they do not come to `wanted` in the end, all are taken.
    """
    rows, wanted = len(keys), wanted.clamp(min=1.0)
    above = torch.zeros(rows, 1, dtype=torch.float64, device=keys.device)
    edge = torch.zeros(rows, 1, dtype=torch.int64, device=keys.device)
    for shift, bits in RADIX:
        is_open = keys >> (shift + bits) == edge
        digits = keys >> shift & ((1 << bits) - 1)
        mass = torch.zeros(rows, 1 << bits, dtype=torch.float64, device=keys.device)
        mass.scatter_add_(1, digits, torch.where(is_open, amounts, 0.0))
        reached = mass.flip(1).cumsum(1).flip(1) + above
        digit = ((reached >= wanted).sum(1, keepdim=True) - 1).clamp(min=0)
        above = (reached - mass).gather(1, digit)
        edge = edge << bits | digit
    equal = keys == edge
    return (keys > edge) | (equal & (above + (equal.cumsum(1) - 1) * amounts < wanted))
