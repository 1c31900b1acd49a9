"""Brings a step's numbers to the device and its answer back, without the host waiting but where it reads the answer.

On the CPU, there and here are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class Transfer:
    """Copies between the host and one device, in the order of the device's current stream."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def is_far(self) -> bool:
        return self.device.type != "cpu"

    def there(self, tensor: torch.Tensor) -> torch.Tensor:
        """A small host tensor on the device. Until it has left it lies in pinned memory, which torch keeps."""
        return _sent(tensor, self.device) if self.is_far else tensor

    def back(self, tensors: Sequence[torch.Tensor]) -> Arrival:
        """Begin to bring tensors back, all together."""
        return _fetched(tensors) if self.is_far else Arrival(tensors)


class Arrival:
    """Tensors on their way to the host."""

    def __init__(self, tensors: Sequence[torch.Tensor], event: Any = None) -> None:
        self._tensors = tensors
        self._event = event

    def wait(self) -> Sequence[torch.Tensor]:
        """The tensors, once they are here: the one place where a step waits for the device. HAS NEVER RUN ON A GPU."""
        if self._event is not None:
            self._event.synchronize()
        return self._tensors


def _sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """HAS NEVER RUN ON A GPU."""
    return tensor.pin_memory().to(device, non_blocking=True)


def _fetched(tensors: Sequence[torch.Tensor]) -> Arrival:
    """HAS NEVER RUN ON A GPU."""
    landed = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
    for target, source in zip(landed, tensors, strict=True):
        target.copy_(source, non_blocking=True)
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record()
    return Arrival(landed, event)
