"""The vocabulary that the network is written in: each method adds layers to a TensorRT network and gives a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inference.errors import InferenceError
from inference.tensorrt.contract import TensorSpec

Tensor = Any
"""A TensorRT ITensor."""


class NetworkWriter:
    """Writes into one network. Keep it until the network has been built: it owns the constants' memory."""

    def __init__(self, trt: Any, network: Any) -> None:
        self.trt = trt
        self.network = network
        self._constants: list[NDArray[Any]] = []
        self.four_bits: dict[str, torch.Tensor] = {}
        """Constants of 4 bits as they were given, by name: the network does not give them back."""
        self._types = {
            torch.float32: trt.DataType.FLOAT,
            torch.float16: trt.DataType.HALF,
            torch.bfloat16: trt.DataType.BF16,
            torch.int8: trt.DataType.INT8,
            torch.float8_e4m3fn: trt.DataType.FP8,
            torch.int32: trt.DataType.INT32,
            torch.int64: trt.DataType.INT64,
        }

    def input(self, spec: TensorSpec) -> Tensor:
        shape = [-1 if isinstance(size, str) else size for size in spec.shape]
        return _made(self.network.add_input(spec.name, self._types[spec.dtype], shape), spec.name)

    def output(self, tensor: Tensor, name: str) -> None:
        tensor.name = name
        self.network.mark_output(tensor)

    def constant(self, values: Any, dtype: torch.dtype) -> Tensor:
        """A constant of float32 or int64."""
        array = np.ascontiguousarray(values, dtype=np.float32 if dtype == torch.float32 else np.int64)
        self._constants.append(array)
        weights = self.trt.Weights(self._types[dtype], array.ctypes.data, array.size)
        return _first(self.network.add_constant(array.shape, weights))

    def constant_of_four_bits(self, halves: torch.Tensor) -> Tensor:
        """A constant [inputs, outputs] of INT4 from [inputs, outputs / 2] bytes."""
        array = np.ascontiguousarray(halves)
        self._constants.append(array)
        weights = self.trt.Weights(self.trt.DataType.INT4, array.ctypes.data, 2 * array.size)
        tensor = _first(self.network.add_constant([array.shape[0], 2 * array.shape[1]], weights))
        self.four_bits[tensor.name] = halves
        return tensor

    def cast(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        return x if x.dtype == self._types[dtype] else _first(self.network.add_cast(x, self._types[dtype]))

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        return _first(self.network.add_elementwise(a, b, self.trt.ElementWiseOperation.SUM))

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        return _first(self.network.add_elementwise(a, b, self.trt.ElementWiseOperation.PROD))

    def gather(self, table: Tensor, indices: Tensor) -> Tensor:
        return _first(self.network.add_gather(table, indices, 0))

    def matmul(self, x: Tensor, weight: Tensor, *, is_transposed: bool) -> Tensor:
        """`x` times `weight`, which is [outputs, inputs] when `is_transposed`."""
        operation = self.trt.MatrixOperation
        second = operation.TRANSPOSE if is_transposed else operation.NONE
        return _first(self.network.add_matrix_multiply(x, operation.NONE, weight, second))

    def dequantised(self, x: Tensor, scale: Tensor, dtype: torch.dtype, *, axis: int | None) -> Tensor:
        """`x` of 4 or 8 bits in `dtype`. Without an `axis` to lie along, `scale` is one for all, or one a block."""
        layer = _made(self.network.add_dequantize(x, scale, self._types[dtype]), "dequantise")
        if axis is not None:
            layer.axis = axis
        return layer.get_output(0)

    def quantised(self, x: Tensor, scale: Tensor) -> Tensor:
        """`x` in FP8, in units of one scale."""
        return _first(self.network.add_quantize(x, scale, self.trt.DataType.FP8))

    def block_sums(self, x: Tensor, count: int, size: int) -> Tensor:
        """[rows, count * size] -> [rows, count], added up in float32, in the type of `x`."""
        layer = _made(self.network.add_shuffle(x), "shuffle")
        layer.reshape_dims = [-1, count, size]
        exact = self.cast(layer.get_output(0), torch.float32)
        summed = _first(self.network.add_reduce(exact, self.trt.ReduceOperation.SUM, 1 << 2, False))
        return _first(self.network.add_cast(summed, x.dtype))

    def silu(self, x: Tensor) -> Tensor:
        gate = _first(self.network.add_activation(x, self.trt.ActivationType.SIGMOID))
        return self.multiply(x, gate)

    def rms_norm(self, x: Tensor, weight: Tensor, *, epsilon: float, to: torch.dtype) -> Tensor:
        """In float32 over the last axis. TensorRT's own normalisation subtracts the mean, so it is spelt out."""
        rank = len(x.shape)
        exact = self.cast(x, torch.float32)
        squares = self.multiply(exact, exact)
        mean = _first(self.network.add_reduce(squares, self.trt.ReduceOperation.AVG, 1 << (rank - 1), True))
        shifted = self.add(mean, self.constant(np.full([1] * rank, epsilon), torch.float32))
        root = _first(self.network.add_unary(shifted, self.trt.UnaryOperation.SQRT))
        factor = _first(self.network.add_unary(root, self.trt.UnaryOperation.RECIP))
        return self.cast(self.multiply(self.multiply(exact, factor), weight), to)

    def split(self, x: Tensor, lead: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """Parts of the last axis of `x` [rows, tokens, sum of sizes]; `lead` holds rows and tokens."""
        parts, start = [], 0
        for size in sizes:
            shape = _first(self.network.add_concatenation([lead, self.constant([size], torch.int64)]))
            layer = _made(self.network.add_slice(x, [0, 0, start], [1, 1, 1], [1, 1, 1]), "slice")
            layer.set_input(2, shape)
            parts.append(layer.get_output(0))
            start += size
        return parts

    def leading_sizes(self, x: Tensor) -> Tensor:
        """The first two sizes of `x`, as a tensor of int64."""
        shape = _first(self.network.add_shape(x))
        return _first(self.network.add_slice(shape, [0], [2], [1]))

    def by_head(self, x: Tensor, heads: int, head_size: int) -> Tensor:
        """[rows, tokens, heads * head_size] -> [rows, heads, tokens, head_size]."""
        layer = _made(self.network.add_shuffle(x), "shuffle")
        layer.reshape_dims = [0, 0, heads, head_size]
        layer.second_transpose = self.trt.Permutation([0, 2, 1, 3])
        return layer.get_output(0)

    def joined_heads(self, x: Tensor, size: int) -> Tensor:
        """[rows, heads, tokens, head_size] -> [rows, tokens, size]."""
        layer = _made(self.network.add_shuffle(x), "shuffle")
        layer.first_transpose = self.trt.Permutation([0, 2, 1, 3])
        layer.reshape_dims = [0, 0, size]
        return layer.get_output(0)

    def flattened(self, x: Tensor, size: int) -> Tensor:
        """[rows, tokens, size] -> [rows * tokens, size]."""
        layer = _made(self.network.add_shuffle(x), "shuffle")
        layer.reshape_dims = [-1, size]
        return layer.get_output(0)

    def unflattened(self, x: Tensor, lead: Tensor, size: int) -> Tensor:
        """[rows * tokens, size] -> [rows, tokens, size]; `lead` holds rows and tokens."""
        shape = _first(self.network.add_concatenation([lead, self.constant([size], torch.int64)]))
        layer = _made(self.network.add_shuffle(x), "shuffle")
        layer.set_input(1, shape)
        return layer.get_output(0)

    def rotate(self, x: Tensor, cosines: Tensor, sines: Tensor, positions: Tensor) -> Tensor:
        """`x` [rows, heads, tokens, head_size] turned by the angles of its positions; halves are paired."""
        layer = _made(self.network.add_rotary_embedding(x, cosines, sines, False, 0), "rotary embedding")
        layer.set_input(3, positions)
        return layer.get_output(0)

    def update_cache(self, cache: Tensor, update: Tensor, write_indices: Tensor) -> Tensor:
        """The cache with `update` [rows, kv_heads, tokens, head_size] written at each row's index, in place."""
        return _first(self.network.add_kv_cache_update(cache, update, write_indices, self.trt.KVCacheMode.LINEAR))

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, kv_lengths: Tensor, name: str) -> Tensor:
        """Causal attention over the first `kv_lengths` tokens of each row; queries are the last of them, scaled."""
        kinds = self.trt.CausalMaskKind
        softmax = self.trt.AttentionNormalizationOp.SOFTMAX
        layer = _made(self.network.add_attention_v2(queries, keys, values, softmax, kinds.LOWER_RIGHT), name)
        layer.name = name
        layer.decomposable = False  # a build without a fused kernel fails instead of running slowly
        layer.key_value_lengths = kv_lengths
        return layer.get_output(0)


def _made(result: Any, what: str) -> Any:
    if result is None:
        raise InferenceError(f"TensorRT refused to add {what}; its log says why.")
    return result


def _first(layer: Any) -> Tensor:
    return _made(layer, "a layer").get_output(0)
