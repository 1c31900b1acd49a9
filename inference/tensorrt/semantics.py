"""What each layer of a TensorRT network means, in torch, as NVIDIA's API reference states it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from inference.tensorrt.precision import LARGEST_FP8

CLASSES = {
    "ACTIVATION": "IActivationLayer",
    "ATTENTION_OUTPUT": "IAttentionOutputLayer",
    "CAST": "ICastLayer",
    "CONCATENATION": "IConcatenationLayer",
    "CONSTANT": "IConstantLayer",
    "DEQUANTIZE": "IDequantizeLayer",
    "ELEMENTWISE": "IElementWiseLayer",
    "GATHER": "IGatherLayer",
    "KV_CACHE_UPDATE": "IKVCacheUpdateLayer",
    "MATRIX_MULTIPLY": "IMatrixMultiplyLayer",
    "QUANTIZE": "IQuantizeLayer",
    "REDUCE": "IReduceLayer",
    "ROTARY_EMBEDDING": "IRotaryEmbeddingLayer",
    "SHAPE": "IShapeLayer",
    "SHUFFLE": "IShuffleLayer",
    "SLICE": "ISliceLayer",
    "UNARY": "IUnaryLayer",
}


class UnknownLayerError(NotImplementedError):
    """The network uses a layer, or a variant of one, that has no meaning written down here."""


class Operations:
    """One method a kind of layer: the layer, then its inputs."""

    def __init__(self, trt: Any) -> None:
        self.trt = trt
        self.dtypes = {
            trt.DataType.FLOAT: torch.float32,
            trt.DataType.HALF: torch.float16,
            trt.DataType.BF16: torch.bfloat16,
            trt.DataType.INT4: torch.int8,  # a number each, to compute with
            trt.DataType.INT8: torch.int8,
            trt.DataType.FP8: torch.float8_e4m3fn,
            trt.DataType.INT32: torch.int32,
            trt.DataType.INT64: torch.int64,
        }
        elementwise, unary = trt.ElementWiseOperation, trt.UnaryOperation
        self.elementwise_functions: dict[Any, Callable[..., torch.Tensor]] = {
            elementwise.SUM: torch.add,
            elementwise.PROD: torch.mul,
        }
        self.reduce_functions: dict[Any, Callable[..., torch.Tensor]] = {
            trt.ReduceOperation.AVG: torch.mean,
            trt.ReduceOperation.SUM: torch.sum,
        }
        self.unary_functions = {unary.SQRT: torch.sqrt, unary.RECIP: torch.reciprocal}

    def named(self, kind: str) -> Callable[..., torch.Tensor]:
        return getattr(self, kind.lower())  # type: ignore[no-any-return]

    def activation(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        _require(layer.type == self.trt.ActivationType.SIGMOID, layer)
        return torch.sigmoid(x)

    def cast(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        return x.to(self.dtypes[layer.to_type])

    def concatenation(self, layer: Any, *parts: torch.Tensor) -> torch.Tensor:
        return torch.cat(parts, layer.axis)

    def dequantize(self, layer: Any, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Numbers of 4 or 8 bits times the scale of their column, of their block of a column, or one for all."""
        if scale.dim() == 2 and x.dim() == 2 and scale.shape[1] == x.shape[1] and not x.shape[0] % scale.shape[0]:
            scale = scale.repeat_interleave(x.shape[0] // scale.shape[0], 0)
        else:
            _require(scale.numel() == 1 or (layer.axis == 1 and x.dim() == 2 and scale.shape == x.shape[1:]), layer)
        return (x.float() * scale.float()).to(self.dtypes[layer.get_output(0).dtype])

    def quantize(self, layer: Any, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """To FP8 in units of `scale`; what is too large becomes the largest, where torch alone would give NaN."""
        _require(self.dtypes[layer.get_output(0).dtype] == torch.float8_e4m3fn and scale.numel() == 1, layer)
        return (x.float() / scale.float()).clamp(-LARGEST_FP8, LARGEST_FP8).to(torch.float8_e4m3fn)

    def elementwise(self, layer: Any, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        _require(layer.op in self.elementwise_functions and a.dtype == b.dtype, layer)
        return self.elementwise_functions[layer.op](a, b)

    def unary(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        _require(layer.op in self.unary_functions, layer)
        return self.unary_functions[layer.op](x)

    def gather(self, layer: Any, table: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        _require(layer.mode == self.trt.GatherMode.DEFAULT and layer.axis == 0, layer)
        return table[indices.long()]

    def matrix_multiply(self, layer: Any, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Summed in float32 and rounded once, as tensor cores do."""
        operation = self.trt.MatrixOperation
        _require(layer.op0 == operation.NONE and a.dtype == b.dtype and a.dim() == b.dim(), layer)
        if b.dim() == 3 and b.shape[0] == 1:  # one matrix for all rows
            b = b[0]
        b = b.transpose(-1, -2) if layer.op1 == operation.TRANSPOSE else b
        return torch.matmul(a.float(), b.float()).to(a.dtype)

    def reduce(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        _require(layer.op in self.reduce_functions, layer)
        axes = [axis for axis in range(x.dim()) if layer.axes >> axis & 1]
        return self.reduce_functions[layer.op](x, axes, keepdim=layer.keep_dims)

    def shape(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor(x.shape)

    def shuffle(self, layer: Any, x: torch.Tensor, shape: torch.Tensor | None = None) -> torch.Tensor:
        """Permute, reshape (0 keeps a size, unless the sizes are computed), permute."""
        x = x.permute(list(layer.first_transpose)[: x.dim()])
        sizes = list(layer.reshape_dims) if shape is None else shape.tolist()
        if layer.zero_is_placeholder and shape is None:
            sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
        return x.reshape(sizes).permute(list(layer.second_transpose)[: len(sizes)])

    def slice(self, layer: Any, x: torch.Tensor, start: Any = None, shape: Any = None, *more: Any) -> torch.Tensor:
        _require(not any(tensor is not None for tensor in (start, *more)), layer)
        sizes = list(layer.shape) if shape is None else shape.tolist()
        parts = zip(layer.start, sizes, layer.stride, strict=True)
        return x[tuple(slice(first, first + (size - 1) * step + 1, step) for first, size, step in parts)]

    def rotary_embedding(self, layer: Any, x: torch.Tensor, *tables: torch.Tensor) -> torch.Tensor:
        """Each element of the first half is turned with its fellow in the second, by the angle of its position."""
        _require(len(tables) == 3 and not layer.interleaved and layer.rotary_embedding_dim == 0, layer)
        cosines, sines = (table[tables[2].long()].unsqueeze(1) for table in tables[:2])
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)

    def kv_cache_update(
        self, layer: Any, cache: torch.Tensor, update: torch.Tensor, write_indices: torch.Tensor
    ) -> torch.Tensor:
        """Row by row, at its index, in place. Writing past the end would be undefined on a GPU: here it is an error."""
        _require(layer.cache_mode == self.trt.KVCacheMode.LINEAR and len(cache) == len(write_indices), layer)
        count = update.shape[2]
        for row, first in enumerate(write_indices.tolist()):
            if not 0 <= first <= cache.shape[2] - count:
                raise IndexError(f"row {row} writes {count} tokens at {first} of {cache.shape[2]}")
            cache[row, :, first : first + count] = update[row]
        return cache

    def attention_output(
        self, layer: Any, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, kv_lengths: torch.Tensor
    ) -> torch.Tensor:
        """Row `b` has `kv_lengths[b]` keys; its queries are the last of them (LOWER_RIGHT) and look back only."""
        _require(layer.causal_kind == self.trt.CausalMaskKind.LOWER_RIGHT and layer.mask is None, layer)
        _require(layer.norm_op == self.trt.AttentionNormalizationOp.SOFTMAX and kv_lengths is not None, layer)
        rows = [
            _attend(queries[row], keys[row, :, :length], values[row, :, :length])
            for row, length in enumerate(kv_lengths.tolist())
        ]
        return torch.stack(rows).to(queries.dtype)


def _attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """queries [heads, tokens, size], keys and values [kv_heads, length, size], in float32."""
    heads, tokens, size = queries.shape
    kv_heads, length, _ = keys.shape
    grouped = queries.float().view(kv_heads, -1, tokens, size)
    scores = grouped @ keys.float().transpose(-1, -2).unsqueeze(1)
    if tokens > 1:
        ahead = torch.ones(tokens, length, dtype=torch.bool).triu(length - tokens + 1)
        scores = scores.masked_fill(ahead, float("-inf"))
    attended = scores.softmax(-1) @ values.float().unsqueeze(1)
    return attended.view(heads, tokens, size)


def _require(is_known: bool, layer: Any) -> None:
    if not is_known:
        raise UnknownLayerError(f"{layer.name}: this variant of the layer has no meaning written down")
