"""A checkpoint's tensors as a plan takes them: joined, turned and in the plan's types, one dictionary a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch

from inference import rope
from inference.errors import ModelError
from inference.tensorrt.calibration import Maxima, activation_maxima
from inference.tensorrt.contract import BLOCK, Contract, TensorSpec, fits_blocks
from inference.tensorrt.four_bits import FourBits, in_four_bits, packed
from inference.tensorrt.graph import FP8_UNIT, UnsupportedByTensorRTError
from inference.tensorrt.precision import LARGEST_FP8
from inference.weights import WeightSource

WeightSet = dict[str, torch.Tensor]
ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
PARTS: dict[str, tuple[str, ...]] = {
    "input_norm": ("input_layernorm",),
    "qkv": ATTENTION,
    "query_norm": ("self_attn.q_norm",),
    "key_norm": ("self_attn.k_norm",),
    "output": ("self_attn.o_proj",),
    "mlp_norm": ("post_attention_layernorm",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
PRODUCTS = ("qkv", "output", "gate_up", "down")
LARGEST_INT8 = 127
SMALLEST_SCALE = 1e-5
Progress = Callable[[int, int], None]


def load_weight_set(
    source: WeightSource, tensors: Contract, *, device: str | torch.device = "cpu", progress: Progress | None = None
) -> WeightSet:
    """Every weight of the contract on `device`. `progress` is told how many of all are there. Raises ModelError."""
    loader = _Loader(source, tensors)
    weights: WeightSet = {}
    for count, spec in enumerate(tensors.weights, start=1):
        weights[spec.name] = loader.load(spec).to(device)
        if progress:
            progress(count, len(tensors.weights))
    return weights


def load_constants(source: WeightSource, tensors: Contract) -> WeightSet:
    """Every weight that the plan is to hold itself. Raises ModelError, or UnsupportedByTensorRTError."""
    if tensors.constants and not fits_blocks(source.config):
        raise UnsupportedByTensorRTError(
            f"the model's products cannot be divided into blocks of {BLOCK} weights of 4 bits; choose 8 bits or more"
        )
    loader = _Loader(source, tensors)
    return {spec.name: loader.load(spec) for spec in tensors.constants}


def scales(matrix: torch.Tensor) -> torch.Tensor:
    """The worth of one in int8 for each row of [outputs, inputs]."""
    return matrix.float().abs().amax(1).clamp(min=SMALLEST_SCALE) / LARGEST_INT8


def quantised(matrix: torch.Tensor) -> torch.Tensor:
    """[outputs, inputs] in int8, each row in units of its scale."""
    return (matrix.float() / scales(matrix).unsqueeze(1)).round().clamp(-LARGEST_INT8, LARGEST_INT8).to(torch.int8)


def fp8_scales(matrix: torch.Tensor) -> torch.Tensor:
    """The worth of one in FP8 for each row of [outputs, inputs]."""
    return matrix.float().abs().amax(1).clamp(min=SMALLEST_SCALE) / LARGEST_FP8


def in_fp8(matrix: torch.Tensor) -> torch.Tensor:
    """[outputs, inputs] in FP8, each row in units of its scale."""
    within = (matrix.float() / fp8_scales(matrix).unsqueeze(1)).clamp(-LARGEST_FP8, LARGEST_FP8)
    return within.to(torch.float8_e4m3fn)


class _Loader:
    """Finds what goes into each tensor of a contract."""

    def __init__(self, source: WeightSource, tensors: Contract) -> None:
        self.source = source
        self.names = source.names()
        self.is_fp8 = any(spec.dtype == torch.float8_e4m3fn for spec in tensors.weights)
        self.has_blocks = bool(tensors.constants)
        self._last_blocks = ("", FourBits(*[torch.empty(0)] * 3))
        factors = source.load("rope.frequency_factors") if "rope.frequency_factors" in self.names else None
        cosines, sines = rope.tables(source.config, tensors.capacity, factors)
        self.angles = {"rope.cosines": cosines, "rope.sines": sines}

    def load(self, spec: TensorSpec) -> torch.Tensor:
        tensor = self._found(spec.name)
        if spec.dtype == torch.int8:
            tensor = quantised(tensor).t()
        elif spec.dtype == torch.float8_e4m3fn:
            tensor = in_fp8(tensor)
        if tensor.numel() != torch.Size(spec.sized()).numel():
            raise ModelError(f"{self.source.path}: {spec.name} has shape {tuple(tensor.shape)}, not {spec.shape}")
        return tensor.to(spec.dtype).reshape(spec.sized()).contiguous()

    def _found(self, name: str) -> torch.Tensor:
        if name in self.angles:
            return self.angles[name]
        if name == "embedding":
            return self.source.load("model.embed_tokens.weight")
        if name == "norm":
            return self.source.load("model.norm.weight")
        if name == "lm_head":
            has_own = not self.source.config.tied_head and "lm_head.weight" in self.names
            return self.source.load("lm_head.weight" if has_own else "model.embed_tokens.weight").t()
        _, layer, part, *kind = name.split(".")
        prefix = f"model.layers.{layer}"
        if kind == ["bias"]:
            return self._joined(prefix, PARTS[part], "bias")
        product = f"layers.{layer}.{part}"
        if kind == ["input_scale"]:
            return torch.tensor(FP8_UNIT / self._input_unit(product))
        if self.has_blocks and part in PRODUCTS:
            blocks = self._blocks(product, prefix, part)
            return {"scale": blocks.scale, "offset": blocks.offset}[kind[0]] if kind else packed(blocks.codes)
        matrix = self._joined(prefix, PARTS[part], "weight")
        if kind == ["scale"]:
            if self.is_fp8:
                return fp8_scales(matrix) * self._input_unit(product) / FP8_UNIT**2
            return scales(matrix)
        return matrix

    def _blocks(self, product: str, prefix: str, part: str) -> FourBits:
        """The product's matrix in blocks of 4 bits; its parts are asked for one after the other."""
        if self._last_blocks[0] != product:
            self._last_blocks = (product, in_four_bits(self._joined(prefix, PARTS[part], "weight")))
        return self._last_blocks[1]

    def _input_unit(self, product: str) -> float:
        """The worth of one in FP8 for what a product is given."""
        return max(self._maxima[product], SMALLEST_SCALE) / LARGEST_FP8

    @cached_property
    def _maxima(self) -> Maxima:
        return activation_maxima(self.source)

    def _joined(self, prefix: str, parts: Sequence[str], kind: str) -> torch.Tensor:
        loaded = [self.source.load(f"{prefix}.{part}.{kind}") for part in parts]
        return loaded[0] if len(loaded) == 1 else torch.cat(loaded)
