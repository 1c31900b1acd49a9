"""The executor over a plan: turns the scheduler's segments into launches and hands them to whatever runs plans."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Protocol

import numpy as np
import torch

from inference.executor.base import Segment
from inference.tensorrt.bindings import Launch, launches, pack, packed_size
from inference.tensorrt.contract import Contract, capacity_for
from inference.tensorrt.profiles import Limits
from inference.tensorrt.weight_set import WeightSet

Tensors = dict[str, torch.Tensor]


class PlanRunner(Protocol):
    """Runs launches of one plan: the CPU interpreter of its network, or NVIDIA's runtime."""

    device: torch.device

    def run(self, launch: Launch, tensors: Tensors) -> torch.Tensor:
        """Logits [logit_rows, vocabulary] for the launch; `tensors` holds every input. Caches change in place."""
        ...

    def forget(self) -> None:
        """Weights have moved: what was recorded with their old addresses is void."""
        ...

    def close(self) -> None:
        """Give back what the runner holds."""
        ...


class SlotExecutor:
    """An Executor. torch owns all buffers: `weights`, the caches, and the small inputs of each step."""

    def __init__(
        self, runner: PlanRunner, tensors: Contract, weights: WeightSet, *, limits: Limits, precision: str
    ) -> None:
        self.slots = limits.max_batch
        self.positions = limits.positions
        self.vocabulary = int(tensors.outputs[0].shape[1])
        self.precision = precision
        self._runner = runner
        self.contract = tensors
        self._limits = limits
        self.weights = weights
        self._capacity = capacity_for(limits.positions)
        self._rows: dict[tuple[int, int], Tensors] = {}
        size = packed_size(tensors, limits)
        self._numbers = torch.zeros(size, dtype=torch.int32, device=runner.device)
        self.caches: Tensors = {
            spec.name: torch.zeros(spec.sized(rows=self.slots), dtype=spec.dtype, device=runner.device)
            for spec in tensors.caches
        }

    @torch.inference_mode()
    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        parts: list[torch.Tensor] = []
        owners: list[int] = []
        for launch in launches(segments, self._limits, self._capacity):
            logits = self._runner.run(launch, self._bound(launch))
            if launch.wanted:
                parts.append(_rows_of(logits, [row for _, row in launch.wanted]))
                owners.extend(index for index, _ in launch.wanted)
        if not parts:
            return torch.empty(0, self.vocabulary)
        found = (parts[0] if len(parts) == 1 else torch.cat(parts)).cpu()
        order = sorted(range(len(owners)), key=owners.__getitem__)
        return _rows_of(found, order)

    def swap_weights(self, weights: WeightSet) -> None:
        """Use another checkpoint of the same architecture from the next step on; what the slots hold is void."""
        self.weights = weights
        self._runner.forget()

    def _bound(self, launch: Launch) -> Tensors:
        """Every input of the launch: the step's numbers, the rows' part of the caches, the weights."""
        bound = {**self.weights, **self._cache_rows(launch.first_slot, launch.rows)}
        step = pack(launch, self.contract)
        self._numbers[: len(step.values)].copy_(torch.from_numpy(np.array(step.values, np.int32)))
        for name, part in step.parts.items():
            last = part.offset + prod(part.shape)
            bound[name] = self._numbers[part.offset : last].view(part.shape)
        return bound

    def _cache_rows(self, first: int, rows: int) -> Tensors:
        """The part of every cache that belongs to these slots; the same few are asked for again and again."""
        found = self._rows.get((first, rows))
        if found is None:
            found = {name: cache[first : first + rows] for name, cache in self.caches.items()}
            self._rows[first, rows] = found
        return found

    @torch.inference_mode()
    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        for cache in self.caches.values():
            cache[target, :, :length].copy_(cache[source, :, :length])

    def release(self, slot: int, *, keep: int = 0) -> None:
        """Slots are laid out once; there is nothing to give back before `close`."""

    def close(self) -> None:
        self._runner.close()
        self.caches.clear()
        self._rows.clear()
        self.weights = {}


def _rows_of(x: torch.Tensor, rows: list[int]) -> torch.Tensor:
    """Those rows of `x`; a run of neighbours is not gathered but taken as it lies."""
    first = rows[0]
    if rows == list(range(first, first + len(rows))):
        return x[first : first + len(rows)]
    return x[torch.tensor(rows, device=x.device)]
