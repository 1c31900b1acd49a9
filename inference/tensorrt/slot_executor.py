"""The executor over a plan: turns the scheduler's segments into launches and hands them to whatever runs plans."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Protocol

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
        size = packed_size(tensors, limits)
        self._numbers = torch.zeros(size, dtype=torch.int32, device=runner.device)
        self.caches: Tensors = {
            spec.name: torch.zeros(spec.sized(rows=self.slots), dtype=spec.dtype, device=runner.device)
            for spec in tensors.caches
        }

    @torch.inference_mode()
    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        rows: list[list[torch.Tensor]] = [[] for _ in segments]
        for launch in launches(segments, self._limits, self._capacity):
            logits = self._runner.run(launch, self._bound(launch))
            for index, row in launch.wanted:
                rows[index].append(logits[row])
        found = [row for segment_rows in rows for row in segment_rows]
        return torch.stack(found).cpu() if found else torch.empty(0, self.vocabulary)

    def swap_weights(self, weights: WeightSet) -> None:
        """Use another checkpoint of the same architecture from the next step on; what the slots hold is void."""
        self.weights = weights
        self._runner.forget()

    def _bound(self, launch: Launch) -> Tensors:
        """Every input of the launch: the step's numbers, the rows' part of the caches, the weights."""
        bound = dict(self.weights)
        last = launch.first_slot + launch.rows
        bound |= {name: cache[launch.first_slot : last] for name, cache in self.caches.items()}
        step = pack(launch, self.contract)
        self._numbers[: len(step.values)].copy_(torch.tensor(step.values, dtype=torch.int32))
        for name, part in step.parts.items():
            last = part.offset + prod(part.shape)
            bound[name] = self._numbers[part.offset : last].view(part.shape)
        return bound

    @torch.inference_mode()
    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        for cache in self.caches.values():
            cache[target, :, :length].copy_(cache[source, :, :length])

    def release(self, slot: int, *, keep: int = 0) -> None:
        """Slots are laid out once; there is nothing to give back before `close`."""

    def close(self) -> None:
        self._runner.close()
        self.caches.clear()
        self.weights = {}
