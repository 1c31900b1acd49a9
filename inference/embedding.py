"""Vectors of meaning for passages of text: a BERT encoder with mean pooling, as sentence-transformers defines it.

Source: Reimers and Gurevych, Sentence-BERT (2019), https://arxiv.org/abs/1908.10084. The model is all-MiniLM-L6-v2:
384 dimensions, English first. It is loaded at the first request, and its passes take turns.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from inference.errors import ModelError

LONGEST_INPUT = 256  # tokens; the model was trained on no more, and what is beyond is cut off
BATCH = 16


@dataclass(frozen=True)
class Embeddings:
    """`vectors` is [texts, dimensions], float32, each of length 1; `tokens` counts what was read."""

    vectors: Tensor
    tokens: int


class Embedder:
    """A sentence encoder from a Hugging Face directory. Safe to share between threads."""

    def __init__(self, directory: Path) -> None:
        self.name = directory.name
        self._directory = directory
        self._lock = threading.Lock()
        self._encoder: _Encoder | None = None

    @property
    def is_available(self) -> bool:
        return (self._directory / "model.safetensors").exists()

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """The vectors of `texts`. Raises ModelError when the model is not there."""
        with self._lock:
            self._encoder = self._encoder or _Encoder(self._directory)
            parts = [self._encoder.encode(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        return Embeddings(torch.cat([part.vectors for part in parts]), sum(part.tokens for part in parts))


class _Encoder:
    def __init__(self, directory: Path) -> None:
        try:
            config = json.loads((directory / "config.json").read_text())
            self._weights = load_file(directory / "model.safetensors")
            self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        except OSError as error:
            raise ModelError(f"No embedding model in {directory}: run `python -m inference fetch`.") from error
        self._layers = int(config["num_hidden_layers"])
        self._heads = int(config["num_attention_heads"])
        self._epsilon = float(config["layer_norm_eps"])
        self._tokenizer.enable_truncation(LONGEST_INPUT)
        self._tokenizer.enable_padding()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Embeddings:
        encodings = self._tokenizer.encode_batch(list(texts))
        ids = torch.tensor([encoding.ids for encoding in encodings])
        mask = torch.tensor([encoding.attention_mask for encoding in encodings], dtype=torch.bool)
        hidden = self._hidden(ids, mask)
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        means = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        return Embeddings(functional.normalize(means, dim=-1), int(mask.sum()))

    def _hidden(self, ids: Tensor, mask: Tensor) -> Tensor:
        words = self._weights["embeddings.word_embeddings.weight"][ids]
        positions = self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        segment = self._weights["embeddings.token_type_embeddings.weight"][0]
        hidden = self._normalised(words + positions + segment, "embeddings.LayerNorm")
        for index in range(self._layers):
            hidden = self._layer(hidden, mask, f"encoder.layer.{index}")
        return hidden

    def _layer(self, hidden: Tensor, mask: Tensor, name: str) -> Tensor:
        attended = self._linear(
            self._attention(hidden, mask, f"{name}.attention.self"), f"{name}.attention.output.dense"
        )
        hidden = self._normalised(hidden + attended, f"{name}.attention.output.LayerNorm")
        widened = functional.gelu(self._linear(hidden, f"{name}.intermediate.dense"))
        return self._normalised(hidden + self._linear(widened, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _attention(self, hidden: Tensor, mask: Tensor, name: str) -> Tensor:
        rows, length, width = hidden.shape
        query, key, value = (
            self._linear(hidden, f"{name}.{part}").view(rows, length, self._heads, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        return mixed.transpose(1, 2).reshape(rows, length, width)

    def _linear(self, values: Tensor, name: str) -> Tensor:
        return functional.linear(values, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _normalised(self, values: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.layer_norm(values, weight.shape, weight, bias, self._epsilon)
