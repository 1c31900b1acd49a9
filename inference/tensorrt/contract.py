"""What a plan takes and gives: every tensor's name, type and shape. The network, the bindings and the tests read this.

Dimensions that change from step to step have names: `rows` sequences, `tokens` of each, `logit_rows` wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from inference.config import ModelConfig
from inference.tensorrt.precision import Precision

Dimension = int | str
ROWS, TOKENS, LOGIT_ROWS = "rows", "tokens", "logit_rows"
CAPACITY_STEP = 64
BLOCK = 32
"""Weights of 4 bits with a scale and an offset of their own: so many inputs of one output."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output. `alias` names the input whose memory an output shares."""

    name: str
    dtype: torch.dtype
    shape: tuple[Dimension, ...]
    alias: str = ""

    def sized(self, **sizes: int) -> tuple[int, ...]:
        """The shape with `rows=`, `tokens=` and `logit_rows=` filled in."""
        return tuple(sizes[size] if isinstance(size, str) else size for size in self.shape)


@dataclass(frozen=True)
class Contract:
    """The tensors of a plan: `step` change with every call, `caches` and `weights` stay where they are.

    `constants` are weights that lie in the plan itself: two of 4 bits in each byte, the first in its low half.
    """

    step: tuple[TensorSpec, ...]
    caches: tuple[TensorSpec, ...]
    weights: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    capacity: int
    constants: tuple[TensorSpec, ...] = ()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return (*self.step, *self.caches, *self.weights)

    def weight(self, name: str) -> TensorSpec:
        return next(spec for spec in self.weights if spec.name == name)


def capacity_for(positions: int) -> int:
    """Tokens that the cache holds for `positions` usable ones: at least one to spare, where idle rows write."""
    return -(-(positions + 1) // CAPACITY_STEP) * CAPACITY_STEP


def contract(config: ModelConfig, precision: Precision, *, positions: int) -> Contract:
    """The tensors of the plan for a model of this shape, whatever its weights."""
    capacity = capacity_for(positions)
    integer = torch.int32
    step = (
        TensorSpec("token_ids", integer, (ROWS, TOKENS)),
        TensorSpec("positions", integer, (ROWS, TOKENS)),
        TensorSpec("write_indices", integer, (ROWS,)),
        TensorSpec("kv_lengths", integer, (ROWS,)),
        TensorSpec("logit_indices", integer, (LOGIT_ROWS,)),
    )
    shape = (ROWS, config.kv_heads, capacity, config.head_size)
    names = [f"layers.{layer}.{kind}_cache" for layer in range(config.layers) for kind in ("key", "value")]
    updated = tuple(TensorSpec(f"{name}.updated", precision.activations, shape, alias=name) for name in names)
    return Contract(
        step=step,
        caches=tuple(TensorSpec(name, precision.activations, shape) for name in names),
        weights=tuple(_weights(config, precision, capacity)),
        outputs=(TensorSpec("logits", torch.float32, (LOGIT_ROWS, config.vocabulary)), *updated),
        capacity=capacity,
        constants=tuple(_constants(config)) if precision.holds_the_checkpoint else (),
    )


def _weights(config: ModelConfig, precision: Precision, capacity: int) -> Iterator[TensorSpec]:
    """Matrices are [1, outputs, inputs]; norms and angles stay in float32, whatever the products are in."""
    hidden, exact = config.hidden_size, torch.float32
    angles = (capacity, config.head_size // 2)
    yield TensorSpec("rope.cosines", exact, angles)
    yield TensorSpec("rope.sines", exact, angles)
    yield TensorSpec("embedding", precision.activations, (config.vocabulary, hidden))
    for layer in range(config.layers):
        prefix = f"layers.{layer}"
        yield TensorSpec(f"{prefix}.input_norm", exact, (1, 1, hidden))
        yield from _linear(f"{prefix}.qkv", *_sizes(config)["qkv"], config.qkv_bias, precision)
        if config.qk_norm:
            yield TensorSpec(f"{prefix}.query_norm", exact, (1, 1, 1, config.head_size))
            yield TensorSpec(f"{prefix}.key_norm", exact, (1, 1, 1, config.head_size))
        yield from _linear(f"{prefix}.output", *_sizes(config)["output"], config.output_bias, precision)
        yield TensorSpec(f"{prefix}.mlp_norm", exact, (1, 1, hidden))
        yield from _linear(f"{prefix}.gate_up", *_sizes(config)["gate_up"], config.mlp_bias, precision)
        yield from _linear(f"{prefix}.down", *_sizes(config)["down"], config.mlp_bias, precision)
    yield TensorSpec("norm", exact, (1, hidden))
    # Its own copy, turned: a tied table would be turned anew, whole, at every step.
    yield TensorSpec("lm_head", precision.head, (hidden, config.vocabulary))


def _sizes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of the four products of a layer."""
    hidden, wide = config.hidden_size, config.intermediate_size
    qkv = config.query_size + 2 * config.kv_size
    sizes = {"qkv": (qkv, hidden), "output": (hidden, config.query_size)}
    return {**sizes, "gate_up": (2 * wide, hidden), "down": (hidden, wide)}


def _constants(config: ModelConfig) -> Iterator[TensorSpec]:
    for layer in range(config.layers):
        for product, (outputs, inputs) in _sizes(config).items():
            name = f"layers.{layer}.{product}"
            yield TensorSpec(name, torch.uint8, (inputs, outputs // 2))
            yield TensorSpec(f"{name}.scale", torch.float32, (inputs // BLOCK, outputs))


def fits_blocks(config: ModelConfig) -> bool:
    """Whether every product can be divided into blocks of weights of 4 bits."""
    return all(not inputs % BLOCK and not outputs % 2 for outputs, inputs in _sizes(config).values())


def _linear(name: str, outputs: int, inputs: int, has_bias: bool, precision: Precision) -> Iterator[TensorSpec]:
    if precision.weights == "int8":
        yield TensorSpec(name, torch.int8, (inputs, outputs))  # the way round that needs no turning at every step
        yield TensorSpec(f"{name}.scale", precision.activations, (outputs,))
    elif precision.weights == "fp8":
        yield TensorSpec(name, torch.float8_e4m3fn, (outputs, inputs))  # the way round that FP8 kernels take
        yield TensorSpec(f"{name}.input_scale", torch.float32, (1, 1, 1))
        yield TensorSpec(f"{name}.scale", torch.float32, (1, outputs))
    elif precision.weights == "int4":  # the weights themselves are constants
        yield TensorSpec(f"{name}.offset", precision.activations, (inputs // BLOCK, outputs))
    else:
        yield TensorSpec(name, precision.activations, (1, outputs, inputs))
    if has_bias:
        yield TensorSpec(f"{name}.bias", precision.activations, (1, 1, outputs))
