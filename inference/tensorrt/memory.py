"""What a plan needs of a GPU's memory, counted before anything is taken."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from weakref import WeakSet

import torch

from inference.errors import InferenceError
from inference.tensorrt.bindings import batch_sizes
from inference.tensorrt.contract import Contract, TensorSpec
from inference.tensorrt.profiles import Limits

RUNTIME_BYTES = 700_000_000
"""Set aside for CUDA's context, cuBLAS and NVIDIA's runtime. Not measured: no GPU was at hand."""
SAMPLING_BYTES = 120
"""For each row and token: what choosing tokens computes with (measured on the CPU), and counts, marks and biases."""
WAYS = 2
"""Recorded steps share one such memory, which is theirs for good; the others (under a grammar) have another."""
GIGABYTE = 1e9


class OutOfMemoryError(InferenceError):
    """The plan does not fit the GPU; the message holds the numbers."""


@dataclass(frozen=True)
class Budget:
    """Bytes by purpose."""

    weights: int
    cache: int
    logits: int
    scratch: int
    sampling: int
    runtime: int = RUNTIME_BYTES

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.logits + self.scratch + self.sampling + self.runtime

    def require(self, free: int, limits: Limits) -> None:
        """Raises OutOfMemoryError when `free` bytes are too few."""
        if self.total > free:
            raise OutOfMemoryError(
                f"{self.total / GIGABYTE:.1f} GB are needed and {free / GIGABYTE:.1f} GB are free: "
                f"weights {self.weights / GIGABYTE:.1f}, cache {self.cache / GIGABYTE:.1f} "
                f"({limits.max_batch} slots of {limits.positions} tokens), logits {self.logits / GIGABYTE:.2f}, "
                f"scratch {self.scratch / GIGABYTE:.2f}, "
                f"sampling {self.sampling / GIGABYTE:.2f}, runtime {self.runtime / GIGABYTE:.1f}. "
                "Set INFERENCE_SLOTS or INFERENCE_CONTEXT lower."
            )


@dataclass(eq=False)
class Promise:
    """Memory that a plan in this process may take, and has taken in part. It is given back with the last reference.

    Between steps torch gives back what choosing tokens needs, and what rare kinds of reply need is taken when they come
    for the first time: what is free then is not free for the next plan.
    """

    bytes: int = 0

    def require(self, needed: Budget, limits: Limits) -> None:
        """Make it `needed`. Raises OutOfMemoryError when the GPU has not that much which is not promised to others."""
        with _PROMISING:
            torch.cuda.empty_cache()  # what torch keeps of a model that was closed counts as taken
            others = sum(promise.bytes for promise in _PROMISES if promise is not self)
            not_taken = max(0, others - torch.cuda.memory_allocated())
            needed.require(torch.cuda.mem_get_info()[0] - not_taken, limits)
            self.bytes = needed.total - needed.runtime
            _PROMISES.add(self)


_PROMISES: WeakSet[Promise] = WeakSet()
_PROMISING = threading.Lock()


def budget(tensors: Contract, limits: Limits, *, scratch: int) -> Budget:
    """The memory for a plan with this contract; `scratch` is the larger of its profiles'."""
    recorded = sum(batch_sizes(limits.max_batch))  # a graph for each size keeps its own logits
    return Budget(
        weights=_bytes((*tensors.weights, *tensors.constants)),
        cache=_bytes(tensors.caches, rows=limits.max_batch),
        logits=_bytes(tensors.outputs[:1], logit_rows=recorded + limits.max_batch),
        scratch=scratch,
        sampling=WAYS * limits.max_batch * int(tensors.outputs[0].shape[1]) * SAMPLING_BYTES,
    )


def bytes_read(tensors: Contract) -> int:
    """Of weights, in a decode step: all but the embedding and the angles, of which it takes a row for each token."""
    by_row = {"embedding", "rope.cosines", "rope.sines"}
    return _bytes(spec for spec in (*tensors.weights, *tensors.constants) if spec.name not in by_row)


def _bytes(specs: Iterable[TensorSpec], **sizes: int) -> int:
    return sum(prod(spec.sized(**sizes)) * spec.dtype.itemsize for spec in specs)
