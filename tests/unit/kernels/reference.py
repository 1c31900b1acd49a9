"""The kernels' arithmetic in plain float32 torch: the same roundings, nothing fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812

from inference.config import ModelConfig
from inference.kernels.native import Format
from inference.linear import Linear
from inference.model import Decoder, load_decoder
from inference.weights import WeightSource


def round_weights(weight: torch.Tensor, kind: Format | None) -> torch.Tensor:
    """What is left of float32 weights after packing; None: they come quantised from a GGUF file, and stay."""
    if kind is None:
        return weight
    if kind is Format.BFLOAT16:
        return weight.bfloat16().float()
    groups = weight.view(weight.shape[0], -1, 32)
    scale = (groups.abs().amax(-1, keepdim=True) / 127).half().float()
    return ((groups / scale).round().clamp(-127, 127) * scale).view(weight.shape)


def round_activations(x: torch.Tensor, kind: Format | None) -> torch.Tensor:
    if kind is Format.BFLOAT16:
        return x.bfloat16().float()
    groups = x.reshape(-1, x.shape[-1] // 32, 32)
    largest = groups.abs().amax(-1, keepdim=True)
    inverse = torch.where(largest > 0, 127 / largest, torch.zeros_like(largest))
    return ((groups * inverse).round() * (largest / 127)).view(x.shape)


class RoundedLinear(Linear):
    """A product of rounded weights and rounded activations, in float32."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, kind: Format | None) -> None:
        self.kind = kind
        self.weight = round_weights(weight.float(), kind)
        self.bias = bias
        self.outputs = weight.shape[0]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(round_activations(x.float(), self.kind), self.weight, self.bias)


class Reference:
    """The logits of every token of one sequence, computed from the beginning."""

    def __init__(self, source: WeightSource, kind: Format | None, *, positions: int = 256) -> None:
        def make(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
            return RoundedLinear(weight, bias, kind)

        self.config: ModelConfig = source.config
        self.decoder: Decoder = load_decoder(source, make_linear=make, make_head=make, positions=positions)
        self.decoder.embedding = round_weights(self.decoder.embedding.float(), kind)

    def logits(self, tokens: Sequence[int]) -> torch.Tensor:
        attend: Callable[..., torch.Tensor] = self._attend
        hidden = self.decoder.forward(torch.tensor(tokens), torch.arange(len(tokens)), attend)
        return self.decoder.logits(hidden)

    def _attend(self, layer: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        config, count = self.config, len(queries)
        queries, keys, values = (x.float().bfloat16().float().transpose(0, 1) for x in (queries, keys, values))
        keys, values = (x.repeat_interleave(config.queries_per_kv_head, 0) for x in (keys, values))
        scores = queries @ keys.transpose(1, 2) / config.head_size**0.5
        distance = torch.arange(count)[:, None] - torch.arange(count)[None, :]
        window = config.layer_window(layer) or count
        scores = scores.masked_fill((distance < 0) | (distance >= window), -torch.inf)
        weights = (scores - scores.amax(-1, keepdim=True)).exp()
        mixed = weights.bfloat16().float() @ values / weights.sum(-1, keepdim=True)
        return mixed.transpose(0, 1).reshape(count, -1)
