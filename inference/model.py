"""The decoder in torch: Llama, Mistral, Qwen2 and Qwen3. This is the single definition of the arithmetic.

Tokens of several sequences run through it as one flat batch; only attention looks at which token belongs to whom.
The residual stream, norms and rotations are float32; products are in the precision that the weights were packed for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812

from inference import rope
from inference.config import ModelConfig
from inference.linear import Linear, stack
from inference.weights import WeightSource

MakeLinear = Callable[[torch.Tensor, torch.Tensor | None], Linear]


class Attention(Protocol):
    """Stores new keys and values of one layer and attends over all that each token may see."""

    def __call__(self, layer: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """queries [tokens, heads, head_size], keys and values [tokens, kv_heads, head_size] -> [tokens, query_size]."""
        ...


@dataclass
class Layer:
    """The weights of one decoder layer; q, k, v are one product, and so are gate and up."""

    input_norm: torch.Tensor
    qkv: Linear
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None
    output: Linear
    mlp_norm: torch.Tensor
    gate_up: Linear
    down: Linear


class Decoder:
    """A decoder's weights and its forward pass."""

    def __init__(
        self, config: ModelConfig, *, embedding: torch.Tensor, layers: list[Layer], norm: torch.Tensor
    ) -> None:
        self.config = config
        self.embedding = embedding
        self.layers = layers
        self.norm = norm
        self.head: Linear
        self.cosines: torch.Tensor
        self.sines: torch.Tensor

    def forward(self, tokens: torch.Tensor, positions: torch.Tensor, attend: Attention) -> torch.Tensor:
        """tokens and positions [tokens] -> hidden states before the last norm, float32 [tokens, hidden_size]."""
        hidden = self.embedding[tokens].float()
        cosines, sines = self.cosines[positions].unsqueeze(1), self.sines[positions].unsqueeze(1)
        for index, layer in enumerate(self.layers):
            queries, keys, values = self._project(layer, hidden, cosines, sines)
            hidden = hidden + layer.output(attend(index, queries, keys, values))
            gate, up = layer.gate_up(self._norm(hidden, layer.mlp_norm)).chunk(2, dim=-1)
            hidden = hidden + layer.down(F.silu(gate) * up)
        return hidden

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states [rows, hidden_size] -> float32 logits [rows, vocabulary]."""
        return self.head(self._norm(hidden, self.norm)).float()

    def _norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, weight.shape, weight, self.config.norm_epsilon)

    def _project(
        self, layer: Layer, hidden: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rotated queries, rotated keys, and values, by head."""
        config = self.config
        projected = layer.qkv(self._norm(hidden, layer.input_norm))
        projected = projected.view(len(hidden), -1, config.head_size)
        heads_to_rotate = config.heads + config.kv_heads
        rotating, values = projected[:, :heads_to_rotate].float(), projected[:, heads_to_rotate:]
        if layer.query_norm is not None and layer.key_norm is not None:
            queries, keys = rotating[:, : config.heads], rotating[:, config.heads :]
            rotating = torch.cat([self._norm(queries, layer.query_norm), self._norm(keys, layer.key_norm)], dim=1)
        rotated = rotate(rotating, cosines, sines)
        return rotated[:, : config.heads], rotated[:, config.heads :], values


def rotate(x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """x [tokens, heads, head_size] turned by angles [tokens, 1, head_size / 2]; a pair is one element of each half."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)


def load_decoder(source: WeightSource, *, make_linear: MakeLinear, make_head: MakeLinear, positions: int) -> Decoder:
    """The decoder with its weights packed by `make_linear`, the output projection by `make_head`. Raises ModelError."""
    config = source.config
    names = source.names()
    embedding = source.load("model.embed_tokens.weight")
    decoder = Decoder(
        config,
        embedding=embedding.to(torch.bfloat16) if embedding.dtype == torch.bfloat16 else embedding.float(),
        layers=[_load_layer(source, index, make_linear) for index in range(config.layers)],
        norm=source.load("model.norm.weight").float(),
    )
    has_own_head = not config.tied_head and "lm_head.weight" in names
    decoder.head = make_head(source.load("lm_head.weight") if has_own_head else decoder.embedding, None)
    factors = source.load("rope.frequency_factors") if "rope.frequency_factors" in names else None
    decoder.cosines, decoder.sines = rope.tables(config, positions, factors)
    return decoder


def _load_layer(source: WeightSource, index: int, make_linear: MakeLinear) -> Layer:
    config, prefix = source.config, f"model.layers.{index}"

    def weight(name: str) -> torch.Tensor:
        return source.load(f"{prefix}.{name}.weight").float()

    def linear(*names: str, has_bias: bool) -> Linear:
        biases = [source.load(f"{prefix}.{name}.bias").float() if has_bias else None for name in names]
        return make_linear(torch.cat([weight(name) for name in names]), stack(biases))

    attention = [f"self_attn.{name}_proj" for name in "qkv"]
    return Layer(
        input_norm=weight("input_layernorm"),
        qkv=linear(*attention, has_bias=config.qkv_bias),
        query_norm=weight("self_attn.q_norm") if config.qk_norm else None,
        key_norm=weight("self_attn.k_norm") if config.qk_norm else None,
        output=linear("self_attn.o_proj", has_bias=config.output_bias),
        mlp_norm=weight("post_attention_layernorm"),
        gate_up=linear("mlp.gate_proj", "mlp.up_proj", has_bias=config.mlp_bias),
        down=linear("mlp.down_proj", has_bias=config.mlp_bias),
    )
