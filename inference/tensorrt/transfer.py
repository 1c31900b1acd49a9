"""Brings a step's numbers to the device and its answer back, without the host waiting but where it reads the answer.

THE PART FOR GPUS HAS NEVER RUN ON ONE, like runtime.py. On the CPU, there and here are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class Transfer:
    """Copies between the host and one device, in the order of the device's current stream."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._is_far = device.type != "cpu"

    def there(self, tensor: torch.Tensor) -> torch.Tensor:
        """A small host tensor on the device. Until it has left it lies in pinned memory, which torch keeps."""
        return tensor.pin_memory().to(self.device, non_blocking=True) if self._is_far else tensor

    def back(self, tensors: Sequence[torch.Tensor]) -> Arrival:
        """Begin to bring tensors back, all together."""
        if not self._is_far:
            return Arrival(tensors, None)
        landed = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
        for target, source in zip(landed, tensors, strict=True):
            target.copy_(source, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        return Arrival(landed, event)


class Arrival:
    """Tensors on their way to the host."""

    def __init__(self, tensors: Sequence[torch.Tensor], event: Any) -> None:
        self._tensors = tensors
        self._event = event

    def wait(self) -> Sequence[torch.Tensor]:
        """The tensors, once they are here: the one place where a step waits for the device."""
        if self._event is not None:
            self._event.synchronize()
        return self._tensors
