"""FusedDecoder: a model in the library's memory, with the keys and values of all slots."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from inference import rope
from inference.config import ModelConfig
from inference.errors import InferenceError
from inference.executor.base import Interruption, StepInterrupted
from inference.kernels import build, native, packing
from inference.kernels.drawing import NativeDraw
from inference.kernels.native import Format, Matrix, Vector
from inference.weights import WeightSource

GROUP = 32
HEAD_STEP = 16
STOPPED = 2
"""What the library answers when a step was interrupted."""
NO_LAYER = 0

Ints = NDArray[np.int32]


class UnsupportedModelError(InferenceError):
    """The kernels cannot run this model; the message says why."""


def check_supported(config: ModelConfig) -> None:
    """Raises UnsupportedModelError when a size does not fit the kernels' groups."""
    for what, value, step in (
        ("hidden size", config.hidden_size, GROUP),
        ("intermediate size", config.intermediate_size, GROUP),
        ("query size", config.query_size, GROUP),
        ("head size", config.head_size, HEAD_STEP * 2),
    ):
        if value % step:
            raise UnsupportedModelError(f"its {what}, {value}, is not a multiple of {step}")


class FusedDecoder:
    """Weights and cache of one model. One thread may call it at a time.

    A row's result does not depend, to the last bit, on which other rows are computed with it, nor on how a prompt was
    cut into chunks.
    """

    def __init__(
        self,
        source: WeightSource,
        *,
        slots: int,
        positions: int,
        threads: int,
        weight_format: Format | None = None,
        target: str = "native",
    ) -> None:
        """`weight_format` None keeps 4- and 8-bit GGUF numbers exactly and packs all else in 8 bits.

        Raises KernelsUnavailableError, UnsupportedModelError, or ModelError for damaged weights.
        """
        config = source.config
        check_supported(config)
        self.config = config
        self.slots = slots
        self.positions = positions
        self._library = native.open_library(build.compiled(target))
        self.draw = NativeDraw(self._library)
        self.instruction_set: str = self._library.parley_instruction_set().decode()
        sizes = (config.layers, config.hidden_size, config.intermediate_size, config.heads, config.kv_heads)
        shape = native.Shape(
            *sizes, config.head_size, config.vocabulary, slots, positions, threads, config.norm_epsilon
        )
        self._handle = self._library.parley_create(ctypes.byref(shape))
        if not self._handle:
            raise InferenceError(
                f"The system refused the addresses for a cache of {slots} slots of {positions} tokens. "
                "Set INFERENCE_SLOTS or INFERENCE_CONTEXT lower."
            )
        try:
            self._load(source, weight_format)
        except BaseException:
            self.close()
            raise

    def forward(
        self, tokens: Ints, slots: Ints, positions: Ints, wanted: Ints, interruption: Interruption | None = None
    ) -> torch.Tensor:
        """Run tokens [T] at `positions` of `slots`; float32 logits [len(wanted), vocabulary] of the rows `wanted`.

        Tokens of one slot are adjacent and at consecutive positions, and all positions before them were run earlier.
        Raises StepInterrupted within half a layer of the interruption.
        """
        logits = torch.empty(len(wanted), self.config.vocabulary)
        arrays = [np.ascontiguousarray(array, dtype=np.int32) for array in (tokens, slots, positions, wanted)]
        self._check(*arrays)
        flat_tokens, flat_slots, flat_positions, flat_wanted = (array.ctypes.data for array in arrays)
        outcome = self._library.parley_forward(
            self._handle,
            len(tokens),
            flat_tokens,
            flat_slots,
            flat_positions,
            len(wanted),
            flat_wanted,
            logits.data_ptr(),
            interruption.address if interruption else None,
        )
        if outcome == STOPPED:
            raise StepInterrupted
        if not outcome:
            raise MemoryError(f"no memory for a step of {len(tokens)} tokens")
        return logits

    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of one slot's cache over another's."""
        self._library.parley_copy_prefix(self._handle, source, target, length)

    def release(self, slot: int, *, keep: int = 0) -> None:
        """Hand the memory of a slot's cache beyond the first `keep` tokens back to the system."""
        self._library.parley_release(self._handle, slot, keep)

    def close(self) -> None:
        """Give back all memory; the decoder is not used afterwards."""
        handle, self._handle = self._handle, None
        if handle:
            self._library.parley_destroy(handle)

    def _check(self, tokens: Ints, slots: Ints, positions: Ints, wanted: Ints) -> None:
        """The library trusts its numbers; a wrong one would write outside the cache."""
        limits = (self.config.vocabulary, self.slots, self.positions, len(tokens))
        for name, array, limit in zip(
            ("token", "slot", "position", "row"), (tokens, slots, positions, wanted), limits, strict=True
        ):
            if len(array) and not 0 <= array.min() <= array.max() < limit:
                raise ValueError(f"a {name} is outside [0, {limit})")
        if not len(tokens) == len(slots) == len(positions):
            raise ValueError("tokens, slots and positions differ in length")

    # Loading

    def _load(self, source: WeightSource, wanted: Format | None) -> None:
        config, names = self.config, source.names()
        self._matrix(source, NO_LAYER, Matrix.EMBEDDING, ["model.embed_tokens"], config.vocabulary, wanted)
        if not config.tied_head and "lm_head.weight" in names:
            self._matrix(source, NO_LAYER, Matrix.HEAD, ["lm_head"], config.vocabulary, wanted)
        self._vector(NO_LAYER, Vector.FINAL_NORM, source.load("model.norm.weight"))
        factors = source.load("rope.frequency_factors") if "rope.frequency_factors" in names else None
        cosines, sines = rope.tables(config, self.positions, factors)
        self._vector(NO_LAYER, Vector.COSINES, cosines)
        self._vector(NO_LAYER, Vector.SINES, sines)
        for layer in range(config.layers):
            self._load_layer(source, layer, wanted)

    def _load_layer(self, source: WeightSource, layer: int, wanted: Format | None) -> None:
        config, prefix = self.config, f"model.layers.{layer}"
        attention = [f"{prefix}.self_attn.{name}_proj" for name in "qkv"]
        outputs = config.query_size + 2 * config.kv_size
        self._matrix(source, layer, Matrix.QKV, attention, outputs, wanted, has_bias=config.qkv_bias)
        output = [f"{prefix}.self_attn.o_proj"]
        self._matrix(source, layer, Matrix.OUTPUT, output, config.hidden_size, wanted, has_bias=config.output_bias)
        gate_up = [f"{prefix}.mlp.gate_proj", f"{prefix}.mlp.up_proj"]
        width = 2 * config.intermediate_size
        self._matrix(source, layer, Matrix.GATE_UP, gate_up, width, wanted, has_bias=config.mlp_bias, in_turns=True)
        down = [f"{prefix}.mlp.down_proj"]
        self._matrix(source, layer, Matrix.DOWN, down, config.hidden_size, wanted, has_bias=config.mlp_bias)
        self._vector(layer, Vector.INPUT_NORM, source.load(f"{prefix}.input_layernorm.weight"))
        self._vector(layer, Vector.MLP_NORM, source.load(f"{prefix}.post_attention_layernorm.weight"))
        if config.qk_norm:
            self._vector(layer, Vector.QUERY_NORM, source.load(f"{prefix}.self_attn.q_norm.weight"))
            self._vector(layer, Vector.KEY_NORM, source.load(f"{prefix}.self_attn.k_norm.weight"))
        self._library.parley_set_window(self._handle, layer, config.layer_window(layer) or 0)

    def _matrix(
        self,
        source: WeightSource,
        layer: int,
        which: Matrix,
        modules: Sequence[str],
        outputs: int,
        wanted: Format | None,
        *,
        has_bias: bool = False,
        in_turns: bool = False,
    ) -> None:
        """Stack the weights of `modules` (and their biases) into one matrix."""
        names = [f"{module}.weight" for module in modules]
        inputs = self._inputs(which)
        packed = packing.format_of(source, names, wanted)
        if not self._library.parley_shape_matrix(self._handle, layer, which, packed, outputs, inputs):
            raise MemoryError(f"no memory for {names[0]}")
        biases = np.zeros(outputs, dtype=np.float32)
        start = 0
        for index, (module, name) in enumerate(zip(modules, names, strict=True)):
            order: Callable[[int], packing.Order] = packing.in_turns(index) if in_turns else packing.in_order(start)
            count = self._pack(source, layer, which, name, order, outputs)
            if has_bias:
                biases[order(count)] = source.load(f"{module}.bias").float().numpy()
            start += count
        if has_bias and not self._library.parley_set_bias(self._handle, layer, which, biases.ctypes.data):
            raise MemoryError(f"no memory for the biases of {names[0]}")

    def _pack(
        self,
        source: WeightSource,
        layer: int,
        which: Matrix,
        name: str,
        order: Callable[[int], packing.Order],
        outputs: int,
    ) -> int:
        """Pack one tensor; returns its number of rows."""
        rows = packing.rows_of(source, name, order)
        count = len(rows.data)
        if rows.inputs != self._inputs(which) or rows.targets.max() >= outputs:
            raise RuntimeError(f"{name} is {count} x {rows.inputs}, which does not fit the config")
        fits = self._library.parley_pack_rows(
            self._handle,
            layer,
            which,
            rows.source,
            rows.data.ctypes.data,
            count,
            rows.data.shape[1],
            rows.targets.ctypes.data,
        )
        if not fits:
            raise RuntimeError(f"{name} cannot be packed: its type does not fit its neighbours'")
        return count

    def _inputs(self, which: Matrix) -> int:
        config = self.config
        return {Matrix.OUTPUT: config.query_size, Matrix.DOWN: config.intermediate_size}.get(which, config.hidden_size)

    def _vector(self, layer: int, which: Vector, values: torch.Tensor) -> None:
        flat = np.ascontiguousarray(values.float().numpy()).reshape(-1)
        self._library.parley_set_vector(self._handle, layer, which, flat.ctypes.data, len(flat))
