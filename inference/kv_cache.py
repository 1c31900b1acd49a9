"""The keys and values of every slot, in memory that the system hands over only as tokens are written."""

from __future__ import annotations

import math
import mmap

import torch

from inference.config import ModelConfig
from inference.errors import InferenceError

PAGE = mmap.PAGESIZE


class KeyValueCache:
    """Per layer, keys and values of [slots, positions, kv_heads, head_size].

    The whole range is reserved as addresses, not as memory: a slot costs what it has written, and `release` returns it.
    """

    def __init__(self, config: ModelConfig, *, slots: int, positions: int, dtype: torch.dtype) -> None:
        self.slots = slots
        self.positions = positions
        self._token_bytes = config.kv_size * dtype.itemsize
        self._slot_bytes = positions * self._token_bytes
        layer_bytes = slots * self._slot_bytes
        size = 2 * config.layers * layer_bytes
        try:
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
            self._memory = mmap.mmap(-1, size, flags=flags)
        except (OSError, ValueError, OverflowError) as error:
            raise InferenceError(
                f"The key/value cache of {slots} slots of {positions} tokens needs {size / 1e9:.1f} GB of addresses, "
                "which the system refused. Set INFERENCE_SLOTS or INFERENCE_CONTEXT lower."
            ) from error
        whole = torch.frombuffer(self._memory, dtype=dtype).view(
            2, config.layers, slots, positions, config.kv_heads, config.head_size
        )
        self.keys: list[torch.Tensor] = list(whole[0].unbind(0))
        self.values: list[torch.Tensor] = list(whole[1].unbind(0))

    def write(self, layer: int, flat_positions: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Store keys and values [tokens, kv_size] at `flat_positions` [tokens] (slot * positions + position)."""
        width = keys.shape[-1]
        self.keys[layer].view(-1, width).index_copy_(0, flat_positions, keys)
        self.values[layer].view(-1, width).index_copy_(0, flat_positions, values)

    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        for tensor in (*self.keys, *self.values):
            tensor[target, :length].copy_(tensor[source, :length])

    def release(self, slot: int, *, keep: int = 0) -> None:
        """Hand the pages behind a slot's tokens from `keep` on back to the system."""
        first = -(-keep * self._token_bytes // PAGE) * PAGE
        for layer in range(len(self.keys) * 2):
            base = (layer * self.slots + slot) * self._slot_bytes
            start = -(-(base + first) // PAGE) * PAGE
            end = (base + self._slot_bytes) // PAGE * PAGE
            if end > start:
                self._memory.madvise(mmap.MADV_DONTNEED, start, end - start)


class DeviceKeyValueCache(KeyValueCache):
    """The same in a device's own memory, which is taken whole at once: nothing there is handed back by the page."""

    def __init__(
        self, config: ModelConfig, *, slots: int, positions: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.slots = slots
        self.positions = positions
        shape = (2, config.layers, slots, positions, config.kv_heads, config.head_size)
        try:
            whole = torch.zeros(shape, dtype=dtype, device=device)
        except RuntimeError as error:
            raise InferenceError(
                f"The key/value cache of {slots} slots of {positions} tokens needs "
                f"{math.prod(shape) * dtype.itemsize / 1e9:.1f} GB of {device}, which are not free. "
                "Set INFERENCE_SLOTS or INFERENCE_CONTEXT lower."
            ) from error
        self.keys = list(whole[0].unbind(0))
        self.values = list(whole[1].unbind(0))

    def release(self, slot: int, *, keep: int = 0) -> None:
        """The memory stays taken."""
