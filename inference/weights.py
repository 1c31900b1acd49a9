"""Weights on disk as named tensors: the names of a Hugging Face Llama checkpoint, whatever the file format."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from pathlib import Path

import torch

from inference import config as model_config
from inference.config import ModelConfig
from inference.errors import ModelError
from inference.gguf_file import GGUFFile

GGUF_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",  # a tensor's name  # nosec B105
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
    "rope_freqs.weight": "rope.frequency_factors",
}
GGUF_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
FINGERPRINT_EDGE = 1 << 20


class WeightSource(ABC):
    """Tensors by canonical name, read one at a time, so that loading never holds two copies of the model."""

    config: ModelConfig
    path: Path

    @abstractmethod
    def load(self, name: str) -> torch.Tensor:
        """The tensor `name` in float32 or as stored. Raises ModelError when it is missing or has the wrong shape."""

    @abstractmethod
    def names(self) -> set[str]:
        """The canonical names that are there."""

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that hold the weights."""

    def fingerprint(self) -> str:
        """A short name for these weights: a hash over each file's name, size, and first and last mebibyte."""
        digest = hashlib.sha256()
        for path in self.files():
            size = path.stat().st_size
            digest.update(f"{path.name}:{size}:".encode())
            with path.open("rb") as file:
                digest.update(file.read(FINGERPRINT_EDGE))
                file.seek(max(0, size - FINGERPRINT_EDGE))
                digest.update(file.read(FINGERPRINT_EDGE))
        return digest.hexdigest()[:12]


def open_weights(path: Path) -> WeightSource:
    """The weights at `path`: a GGUF file, or a directory with one GGUF file or config.json and safetensors.

    Raises ModelError.
    """
    if not path.exists():
        raise ModelError(
            f"There is no model at {path}. Run `python -m inference fetch`, or set MODEL to a model's path."
        )
    if path.is_file():
        return GGUFWeights(path)
    if (path / "config.json").exists():
        return SafetensorsWeights(path)
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1:
        return GGUFWeights(files[0])
    raise ModelError(
        f"{path} holds {'several GGUF files' if files else 'neither config.json nor a GGUF file'}; "
        "point MODEL at one GGUF file or at a Hugging Face directory."
    )


class SafetensorsWeights(WeightSource):
    """A Hugging Face directory: config.json and model.safetensors, or shards and their index."""

    def __init__(self, directory: Path) -> None:
        self.path = directory
        self.config = model_config.from_directory(directory)
        self._where = self._locate(directory)

    @staticmethod
    def _locate(directory: Path) -> dict[str, Path]:
        from safetensors import SafetensorError, safe_open

        index = directory / "model.safetensors.index.json"
        if index.exists():
            try:
                shards = json.loads(index.read_text())["weight_map"]
            except (ValueError, KeyError) as error:
                raise ModelError(f"{index} is damaged: {error}") from error
            missing = sorted({shard for shard in shards.values() if not (directory / shard).exists()})
            if missing:
                raise ModelError(f"{directory} lacks {', '.join(missing)}; download the whole model.")
            return {name: directory / shard for name, shard in shards.items()}
        whole = directory / "model.safetensors"
        if not whole.exists():
            raise ModelError(f"{directory} has no model.safetensors (other formats, such as .bin, are not read).")
        try:
            with safe_open(whole, framework="pt") as file:
                return dict.fromkeys(file.keys(), whole)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{whole} is damaged: {error}") from error

    def names(self) -> set[str]:
        return set(self._where)

    def files(self) -> list[Path]:
        return [self.path / "config.json", *sorted(set(self._where.values()))]

    def load(self, name: str) -> torch.Tensor:
        from safetensors import SafetensorError, safe_open

        if name not in self._where:
            raise ModelError(f"{self.path} lacks the tensor {name}")
        try:
            with safe_open(self._where[name], framework="pt") as file:
                tensor: torch.Tensor = file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{self._where[name]} is damaged: {error}") from error
        return tensor


class GGUFWeights(WeightSource):
    """A GGUF file as llama.cpp writes it; the rows of Llama's q and k are put back into Hugging Face's order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = GGUFFile(path)
        self.config = model_config.from_gguf(self.file)
        self._gguf_names = {canonical_name(name): name for name in self.file}

    def names(self) -> set[str]:
        return set(self._gguf_names)

    def files(self) -> list[Path]:
        return [self.path]

    def load(self, name: str) -> torch.Tensor:
        if name not in self._gguf_names:
            raise ModelError(f"{self.path} lacks the tensor {name}")
        tensor = self.file.load(self._gguf_names[name])
        heads = self.permuted_heads(name)
        return unpermute(tensor, heads) if heads else tensor

    def stored_name(self, name: str) -> str:
        """What the file calls the tensor `name`, which is there."""
        return self._gguf_names[name]

    def permuted_heads(self, name: str) -> int:
        """The number of heads whose rows llama.cpp interleaved in this tensor, or 0. Only Llama's q and k are."""
        if self.config.family != "llama":
            return 0
        if ".q_proj." in name:
            return self.config.heads
        return self.config.kv_heads if ".k_proj." in name else 0


def unpermute(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Undo llama.cpp's interleaving of each head's two halves along the first dimension."""
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, half, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape).contiguous()


def canonical_name(gguf_name: str) -> str:
    """`blk.3.attn_q.weight` -> `model.layers.3.self_attn.q_proj.weight`. Unknown names stay as they are."""
    if gguf_name in GGUF_NAMES:
        return GGUF_NAMES[gguf_name]
    parts = gguf_name.split(".")
    if parts[0] == "blk" and len(parts) == 4 and parts[2] in GGUF_LAYER_NAMES:
        return f"model.layers.{parts[1]}.{GGUF_LAYER_NAMES[parts[2]]}.{parts[3]}"
    return gguf_name
