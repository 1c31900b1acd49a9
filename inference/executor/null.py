"""An executor without arithmetic: what follows is a hash of all that is in the slot.

It exists to look at scheduling alone: a reply is right exactly when its slot held exactly its tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

import torch

from inference.executor.base import Drawn, Fed, Interruption, Segment, StepInterrupted
from inference.sampling import Mask, SamplingParameters


class NullExecutor:
    """Holds real token lists for each slot and refuses steps that a real cache could not do."""

    precision = "none"

    def __init__(self, *, slots: int, positions: int, vocabulary: int) -> None:
        self.slots = slots
        self.positions = positions
        self.vocabulary = vocabulary
        self.cache: list[list[int]] = [[] for _ in range(slots)]
        self.steps = 0

    def forward(self, segments: Sequence[Segment], interruption: Interruption | None = None) -> torch.Tensor:
        self.steps += 1
        self.during_step()
        if interruption and interruption.is_asked:
            raise StepInterrupted
        if len({segment.slot for segment in segments}) != len(segments):
            raise ValueError("two segments in one slot")
        rows = [row for segment in segments for row in self._advance(segment)]
        return torch.stack(rows) if rows else torch.empty(0, self.vocabulary)

    def during_step(self) -> None:
        """For those who want something to happen while the model computes."""

    def _advance(self, segment: Segment) -> list[torch.Tensor]:
        held = self.cache[segment.slot]
        if not segment.tokens or segment.start > len(held) or segment.end > self.positions:
            raise ValueError(f"{segment} does not fit a slot that holds {len(held)} tokens")
        del held[segment.start :]
        rows = []
        for token in segment.tokens:
            held.append(token)
            rows.append(self.row(held))
        return rows[len(rows) - segment.logits :]

    def row(self, tokens: Sequence[int]) -> torch.Tensor:
        """Logits after `tokens`: one token stands out, named by their hash."""
        logits = torch.zeros(self.vocabulary)
        logits[crc32(repr(list(tokens)).encode()) % self.vocabulary] = 10.0
        return logits

    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        if length > len(self.cache[source]):
            raise ValueError("copying tokens that are not there")
        self.cache[target] = self.cache[source][:length]

    def release(self, slot: int, *, keep: int = 0) -> None:
        del self.cache[slot][keep:]

    def close(self) -> None:
        self.cache.clear()


class NullStep:
    """A step of a DrawingNullExecutor, done at once but told only when it is read."""

    def __init__(self, executor: DrawingNullExecutor, drawn: list[Drawn | None]) -> None:
        self._executor = executor
        self._drawn = drawn

    def read(self) -> list[Drawn | None]:
        self._executor.in_flight -= 1
        return self._drawn


class DrawingNullExecutor(NullExecutor):
    """The same, choosing the likeliest token itself. `most_in_flight` steps at a time were launched and not read."""

    def __init__(self, *, slots: int, positions: int, vocabulary: int) -> None:
        super().__init__(slots=slots, positions=positions, vocabulary=vocabulary)
        self.in_flight = 0
        self.most_in_flight = 0
        self._drawn = [0] * slots
        self._fed: Fed | None = None
        self._biases: list[dict[int, float]] = [{}] * slots

    def begin(self, slot: int, parameters: SamplingParameters, prompt: Sequence[int]) -> None:
        self._biases[slot] = parameters.logit_bias
        self._fed = None

    def launch(self, segments: Sequence[Segment], fed: Fed, allowed: Mapping[int, Mask]) -> NullStep:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        going = [Segment(slot, start, [self._drawn[slot]]) for slot, start in zip(*fed, strict=True)]
        known = [*segments, *going]
        rows = iter(self.forward(known))
        self._fed = None if segments else fed
        return NullStep(self, [self._draw(segment.slot, next(rows), allowed) for segment in known if segment.logits])

    def launch_next(self) -> NullStep:
        if self._fed is None:
            raise ValueError("the last launch was not of fed slots alone, or something was done since")
        return self.launch((), Fed(self._fed.slots, [position + 1 for position in self._fed.positions]), {})

    def _draw(self, slot: int, row: torch.Tensor, allowed: Mapping[int, Mask]) -> Drawn | None:
        for token, value in self._biases[slot].items():
            row[token] += value
        if slot in allowed:
            row[~torch.from_numpy(allowed[slot])] = -torch.inf
        token = int(row.argmax())
        self._drawn[slot] = token
        return (token, None) if row[token].isfinite() else None
