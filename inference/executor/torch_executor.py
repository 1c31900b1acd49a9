"""The executor in torch: products by oneDNN or cuBLAS, attention by torch's fused kernel, once a sequence."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812

from inference.config import ModelConfig
from inference.executor.base import Interruption, Segment, StepInterrupted, logit_rows
from inference.kv_cache import DeviceKeyValueCache, KeyValueCache
from inference.linear import DenseLinear, Linear, PackedLinear, can_pack_bfloat16
from inference.model import load_decoder
from inference.weights import WeightSource

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
CPU = torch.device("cpu")


class TorchExecutor:
    """Runs a decoder over slots; `precision` is one of PRECISIONS, of which float16 is for GPUs."""

    def __init__(
        self, source: WeightSource, *, slots: int, positions: int, precision: str, device: torch.device = CPU
    ) -> None:
        self.config = source.config
        self.slots = slots
        self.positions = positions
        self.vocabulary = source.config.vocabulary
        self.precision = precision
        self._dtype = PRECISIONS[precision]
        self._device = device
        # What is made without a word about where is made on the device. The CPU needs no such word, which costs time.
        self._there = contextlib.nullcontext() if device == CPU else device
        with torch.inference_mode(), self._there:
            self._decoder = load_decoder(
                source if device == CPU else DeviceWeights(source, device),
                make_linear=self._make_linear,
                make_head=_make_head,
                positions=positions,
            )
            self._cache = self._make_cache()

    def _make_cache(self) -> KeyValueCache:
        sizes = {"slots": self.slots, "positions": self.positions}
        if self._device == CPU:
            return KeyValueCache(self.config, dtype=self._dtype, **sizes)
        return DeviceKeyValueCache(self.config, dtype=self._dtype, device=self._device, **sizes)

    def _make_linear(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        if self._dtype == torch.bfloat16 and self._device == CPU and can_pack_bfloat16():
            return PackedLinear(weight, bias)
        return DenseLinear(weight, bias, self._dtype)

    @torch.inference_mode()
    def forward(self, segments: Sequence[Segment], interruption: Interruption | None = None) -> torch.Tensor:
        with self._there:
            return self._forward(segments, interruption).cpu()

    def _forward(self, segments: Sequence[Segment], interruption: Interruption | None) -> torch.Tensor:
        tokens = torch.tensor([token for segment in segments for token in segment.tokens])
        positions = torch.cat([torch.arange(segment.start, segment.end) for segment in segments])
        attention = SegmentAttention(self.config, self._cache, segments, positions, interruption)
        hidden = self._decoder.forward(tokens, positions, attention)
        wanted = logit_rows(segments)
        return self._decoder.logits(hidden if len(wanted) == len(hidden) else hidden[wanted])

    @torch.inference_mode()
    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        self._cache.copy_prefix(source=source, target=target, length=length)

    def release(self, slot: int, *, keep: int = 0) -> None:
        self._cache.release(slot, keep=keep)

    def close(self) -> None:
        del self._decoder
        del self._cache


class DeviceWeights(WeightSource):
    """Another source's tensors, on a device."""

    def __init__(self, source: WeightSource, device: torch.device) -> None:
        self.config = source.config
        self.path = source.path
        self._source = source
        self._device = device

    def load(self, name: str) -> torch.Tensor:
        return self._source.load(name).to(self._device)

    def names(self) -> set[str]:
        return self._source.names()

    def files(self) -> list[Path]:
        return self._source.files()


def _make_head(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
    """The output projection in float32: in bfloat16, near-ties between tokens flip."""
    return DenseLinear(weight, bias, torch.float32)


class SegmentAttention:
    """Attention of one step: new keys and values go to the cache, then each segment looks at its own slot."""

    def __init__(
        self,
        config: ModelConfig,
        cache: KeyValueCache,
        segments: Sequence[Segment],
        positions: torch.Tensor,
        interruption: Interruption | None = None,
    ) -> None:
        self._config = config
        self._interruption = interruption
        self._cache = cache
        self._segments = segments
        slots = torch.repeat_interleave(
            torch.tensor([segment.slot for segment in segments]),
            torch.tensor([len(segment.tokens) for segment in segments]),
        )
        self._flat_positions = slots * cache.positions + positions
        self._masks: dict[tuple[int, int | None], torch.Tensor | None] = {}

    def __call__(self, layer: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        if self._interruption and self._interruption.is_asked:
            raise StepInterrupted
        dtype = self._cache.keys[layer].dtype
        self._cache.write(layer, self._flat_positions, keys.to(dtype).flatten(1), values.to(dtype).flatten(1))
        queries = queries.to(dtype)
        outputs, row = [], 0
        for index, segment in enumerate(self._segments):
            count = len(segment.tokens)
            outputs.append(self._attend(layer, index, segment, queries[row : row + count]))
            row += count
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _attend(self, layer: int, index: int, segment: Segment, queries: torch.Tensor) -> torch.Tensor:
        config = self._config
        window = config.layer_window(layer)
        first = max(0, segment.start + 1 - window) if window else 0
        keys = self._cache.keys[layer][segment.slot, first : segment.end].transpose(0, 1).unsqueeze(0)
        values = self._cache.values[layer][segment.slot, first : segment.end].transpose(0, 1).unsqueeze(0)
        count = len(queries)
        if count == 1:  # one token sees all: the queries that share a key/value head become its rows
            grouped = queries.view(1, config.kv_heads, config.queries_per_kv_head, config.head_size)
            return F.scaled_dot_product_attention(grouped, keys, values).reshape(1, -1)
        by_head = queries.transpose(0, 1).unsqueeze(0)
        is_causal = first == segment.start and not window
        mask = None if is_causal else self._mask(index, segment, first, window)
        attended = F.scaled_dot_product_attention(
            by_head, keys, values, attn_mask=mask, is_causal=is_causal, enable_gqa=config.heads != config.kv_heads
        )
        return attended.squeeze(0).transpose(0, 1).reshape(count, -1)

    def _mask(self, index: int, segment: Segment, first: int, window: int | None) -> torch.Tensor | None:
        key = (index, window)
        if key not in self._masks:
            rows = torch.arange(segment.start, segment.end).unsqueeze(1)
            columns = torch.arange(first, segment.end).unsqueeze(0)
            visible = columns <= rows
            if window:
                visible &= columns > rows - window
            self._masks[key] = visible
        return self._masks[key]
