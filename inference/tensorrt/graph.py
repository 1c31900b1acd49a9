"""The decoder as a TensorRT network, from the same config as the torch model: Llama, Mistral, Qwen2 and Qwen3.

Weights are inputs, so one small plan serves every checkpoint of an architecture, and a retrained model is swapped in by
address. q, k, v are one product, and so are gate and up: TensorRT does not join products whose weights are inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from inference.config import ModelConfig
from inference.errors import InferenceError
from inference.tensorrt.contract import BLOCK, Contract, contract
from inference.tensorrt.layers import NetworkWriter, Tensor
from inference.tensorrt.precision import Precision

FP8_UNIT = 2.0**-9
"""What one in FP8 is worth in the network: FP8 reaches 448, so all that is multiplied there lies within one."""


class UnsupportedByTensorRTError(InferenceError):
    """The network cannot express this model; the message says why and what to do."""


def check_supported(config: ModelConfig, *, positions: int) -> None:
    """Raises UnsupportedByTensorRTError when the attention layer cannot do what the model needs."""
    windows = [config.layer_window(layer) for layer in range(config.layers)]
    smallest = min((window for window in windows if window is not None), default=positions)
    if smallest < positions:
        raise UnsupportedByTensorRTError(
            f"the model's sliding window is {smallest} tokens and TensorRT's attention looks back at all; "
            f"set INFERENCE_CONTEXT to at most {smallest}"
        )


def define(
    trt: Any,
    network: Any,
    config: ModelConfig,
    precision: Precision,
    *,
    positions: int,
    constants: Mapping[str, torch.Tensor] | None = None,
) -> NetworkWriter:
    """Write the decoder into `network`. Keep the result until the network is built. Raises InferenceError.

    `constants` are the contract's, for a precision whose plan holds the checkpoint.
    """
    check_supported(config, positions=positions)
    writer = NetworkWriter(trt, network)
    tensors = contract(config, precision, positions=positions)
    _Definition(writer, config, precision, tensors, constants or {}).write()
    return writer


class _Definition:
    """One decoder being written."""

    def __init__(
        self,
        writer: NetworkWriter,
        config: ModelConfig,
        precision: Precision,
        tensors: Contract,
        constants: Mapping[str, torch.Tensor],
    ) -> None:
        self.constants = constants
        self.writer = writer
        self.config = config
        self.working = precision.activations
        self.head_dtype = precision.head
        self.inputs = {spec.name: writer.input(spec) for spec in tensors.inputs}
        self.lead = writer.leading_sizes(self.inputs["token_ids"])
        self.query_scale = writer.constant([[[[config.head_size**-0.5]]]], torch.float32)

    def write(self) -> None:
        writer, inputs = self.writer, self.inputs
        hidden = writer.gather(inputs["embedding"], inputs["token_ids"])
        for layer in range(self.config.layers):
            hidden = self._layer(hidden, f"layers.{layer}")
        wanted = writer.gather(writer.flattened(hidden, self.config.hidden_size), inputs["logit_indices"])
        normed = writer.rms_norm(wanted, inputs["norm"], epsilon=self.config.norm_epsilon, to=self.head_dtype)
        logits = writer.matmul(normed, inputs["lm_head"], is_transposed=False)
        writer.output(writer.cast(logits, torch.float32), "logits")

    def _layer(self, hidden: Tensor, prefix: str) -> Tensor:
        writer, config = self.writer, self.config
        hidden = writer.add(hidden, self._linear(self._attention(hidden, prefix), f"{prefix}.output"))
        merged = self._linear(self._norm(hidden, f"{prefix}.mlp_norm"), f"{prefix}.gate_up")
        gate, up = writer.split(merged, self.lead, [config.intermediate_size] * 2)
        return writer.add(hidden, self._linear(writer.multiply(writer.silu(gate), up), f"{prefix}.down"))

    def _attention(self, hidden: Tensor, prefix: str) -> Tensor:
        writer, config, inputs = self.writer, self.config, self.inputs
        merged = self._linear(self._norm(hidden, f"{prefix}.input_norm"), f"{prefix}.qkv")
        sizes = [config.query_size, config.kv_size, config.kv_size]
        queries, keys, values = writer.split(merged, self.lead, sizes)
        queries = self._rotated(queries, config.heads, f"{prefix}.query_norm")
        # The attention layer has no scale of its own.
        queries = writer.cast(writer.multiply(queries, self.query_scale), self.working)
        updates = {
            "key": writer.cast(self._rotated(keys, config.kv_heads, f"{prefix}.key_norm"), self.working),
            "value": writer.by_head(values, config.kv_heads, config.head_size),
        }
        caches = {}
        for kind, update in updates.items():
            name = f"{prefix}.{kind}_cache"
            caches[kind] = writer.update_cache(inputs[name], update, inputs["write_indices"])
            writer.output(caches[kind], f"{name}.updated")
        lengths = inputs["kv_lengths"]
        attended = writer.attend(queries, caches["key"], caches["value"], lengths, f"{prefix}.attention")
        return writer.joined_heads(attended, config.query_size)

    def _rotated(self, x: Tensor, heads: int, norm: str) -> Tensor:
        """By head, normed where the family does so, turned, in float32."""
        writer, inputs = self.writer, self.inputs
        x = writer.by_head(x, heads, self.config.head_size)
        if self.config.qk_norm:
            x = writer.rms_norm(x, inputs[norm], epsilon=self.config.norm_epsilon, to=torch.float32)
        exact = writer.cast(x, torch.float32)
        return writer.rotate(exact, inputs["rope.cosines"], inputs["rope.sines"], inputs["positions"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return self.writer.rms_norm(x, self.inputs[name], epsilon=self.config.norm_epsilon, to=self.working)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        scale, input_scale = self.inputs.get(f"{name}.scale"), self.inputs.get(f"{name}.input_scale")
        offset = self.inputs.get(f"{name}.offset")
        if offset is not None:
            product = self._int4_product(x, name, offset)
        elif scale is not None and input_scale is not None:
            product = self._fp8_product(x, self.inputs[name], scale, input_scale)
        elif scale is not None:
            product = self._quantised_product(x, self.inputs[name], scale)
        else:
            product = self.writer.matmul(x, self.inputs[name], is_transposed=True)
        bias = self.inputs.get(f"{name}.bias")
        return product if bias is None else self.writer.add(product, bias)

    def _quantised_product(self, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        """Two-dimensional: given a third axis of 1, the compiler copies the weight to take it off, at every step."""
        inputs, outputs = weight.shape
        exact = self.writer.dequantised(weight, scale, self.working, axis=1)
        product = self.writer.matmul(self.writer.flattened(x, inputs), exact, is_transposed=False)
        return self.writer.unflattened(product, self.lead, outputs)

    def _int4_product(self, x: Tensor, name: str, offset: Tensor) -> Tensor:
        """Codes and scales are constants, or the compiler would widen the matrix into memory at every step.

        What the offsets add is a product of its own, by the sums of the blocks' inputs: a thirty-second of the first.
        """
        writer = self.writer
        blocks, outputs = offset.shape
        flat = writer.flattened(x, blocks * BLOCK)
        codes = writer.constant_of_four_bits(self.constants[name])
        scale = writer.cast(writer.constant(self.constants[f"{name}.scale"], torch.float32), self.working)
        exact = writer.dequantised(codes, scale, self.working, axis=None)
        product = writer.matmul(flat, exact, is_transposed=False)
        sums = writer.block_sums(flat, blocks, BLOCK)
        whole = writer.add(product, writer.matmul(sums, offset, is_transposed=False))
        return writer.unflattened(whole, self.lead, outputs)

    def _fp8_product(self, x: Tensor, weight: Tensor, scale: Tensor, input_scale: Tensor) -> Tensor:
        """Both sides in FP8: `x` brought within one by `input_scale`, the product brought back by `scale`.

        The unit of FP8 is a constant. If it came with the weights, the compiler would multiply in 16 bits.
        """
        writer = self.writer
        outputs, inputs = weight.shape
        unit = writer.constant(FP8_UNIT, torch.float32)
        within_one = writer.multiply(writer.cast(x, torch.float32), input_scale)
        rounded = writer.quantised(writer.flattened(within_one, inputs), unit)
        left, right = (writer.dequantised(side, unit, self.working, axis=None) for side in (rounded, weight))
        product = writer.cast(writer.matmul(left, right, is_transposed=True), torch.float32)
        exact = writer.cast(writer.multiply(product, scale), self.working)
        return writer.unflattened(exact, self.lead, outputs)
