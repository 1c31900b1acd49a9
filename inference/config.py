"""What a model is: its family and sizes, read from a Hugging Face config.json or from GGUF metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference.errors import ModelError
from inference.gguf_file import GGUFFile

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
ROPE_VARIANTS = ("default", "linear", "llama3", "yarn")
ACTIVATIONS = ("silu", "swish")


@dataclass(frozen=True)
class ModelConfig:
    """The sizes and switches of one decoder. Widths count elements, `window` and `sliding_window` count tokens."""

    family: str
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    window: int
    norm_epsilon: float
    rope_base: float
    rope_scaling: dict[str, Any] = field(default_factory=dict)
    tied_head: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    sliding_window: int | None = None
    sliding_layers: tuple[bool, ...] = ()
    end_tokens: tuple[int, ...] = ()

    @property
    def queries_per_kv_head(self) -> int:
        return self.heads // self.kv_heads

    @property
    def query_size(self) -> int:
        return self.heads * self.head_size

    @property
    def kv_size(self) -> int:
        return self.kv_heads * self.head_size

    @property
    def kv_elements_per_token(self) -> int:
        """Elements that one token keeps in the cache, over all layers, keys and values."""
        return 2 * self.layers * self.kv_size

    @property
    def parameters(self) -> int:
        """Elements of all matrices, the vocabulary's table once more where the head is its own."""
        attention = self.hidden_size * (2 * self.query_size + 2 * self.kv_size)
        layer = attention + 3 * self.hidden_size * self.intermediate_size
        return self.layers * layer + self.vocabulary * self.hidden_size * (1 if self.tied_head else 2)

    def layer_window(self, layer: int) -> int | None:
        """Tokens that `layer` may look back at, itself included; None for all."""
        return self.sliding_window if self.sliding_layers and self.sliding_layers[layer] else None

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ModelError(f"Model family '{self.family}' is not supported; choose one of {', '.join(FAMILIES)}.")
        if self.heads % self.kv_heads:
            raise ModelError(f"{self.heads} query heads cannot share {self.kv_heads} key/value heads.")
        if rope_type(self.rope_scaling) not in ROPE_VARIANTS:
            raise ModelError(
                f"RoPE scaling '{rope_type(self.rope_scaling)}' is not supported; choose one of "
                f"{', '.join(ROPE_VARIANTS)}."
            )


def rope_type(scaling: dict[str, Any]) -> str:
    """The scaling's name; Hugging Face calls the key `rope_type`, and before that `type`."""
    return str(scaling.get("rope_type", scaling.get("type", "default")))


def from_directory(directory: Path) -> ModelConfig:
    """The config of a Hugging Face directory. Raises ModelError."""
    path = directory / "config.json"
    try:
        raw = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ModelError(
            f"{directory} has no config.json; point MODEL at a Hugging Face directory or a GGUF file."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    try:
        return from_dict(raw, generation=_generation_config(directory))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} lacks or garbles a field: {error}") from error


def _generation_config(directory: Path) -> dict[str, Any]:
    path = directory / "generation_config.json"
    if not path.exists():
        return {}
    loaded = json.loads(path.read_text())
    return loaded if isinstance(loaded, dict) else {}


def from_dict(raw: dict[str, Any], *, generation: dict[str, Any] | None = None) -> ModelConfig:
    """The config that a parsed config.json describes, with the defaults of each family filled in."""
    family = str(raw["model_type"])
    activation = raw.get("hidden_act", "silu")
    if family in FAMILIES and activation not in ACTIVATIONS:
        raise ModelError(f"Activation '{activation}' is not supported; the four families use silu.")
    if raw.get("quantization_config"):
        raise ModelError(
            "Quantised Hugging Face checkpoints are not supported; use the unquantised one or a GGUF file."
        )
    heads = int(raw["num_attention_heads"])
    layers = int(raw["num_hidden_layers"])
    # transformers 5 moved the base and the scaling into `rope_parameters`.
    rope = dict(raw.get("rope_parameters") or raw.get("rope_scaling") or {})
    base = float(rope.pop("rope_theta", None) or raw.get("rope_theta") or 10000.0)
    window = int(raw.get("max_position_embeddings", 2048))
    rope.setdefault("max_position_embeddings", window)
    sliding, sliding_layers = _sliding(raw, family=family, layers=layers)
    return ModelConfig(
        family=family,
        hidden_size=int(raw["hidden_size"]),
        intermediate_size=int(raw["intermediate_size"]),
        layers=layers,
        heads=heads,
        kv_heads=int(raw.get("num_key_value_heads") or heads),
        head_size=int(raw.get("head_dim") or int(raw["hidden_size"]) // heads),
        vocabulary=int(raw["vocab_size"]),
        window=window,
        norm_epsilon=float(raw.get("rms_norm_eps", 1e-6)),
        rope_base=base,
        rope_scaling=rope,
        tied_head=bool(raw.get("tie_word_embeddings", False)),
        qkv_bias=family == "qwen2" or bool(raw.get("attention_bias", False)),
        output_bias=family in ("llama", "qwen3") and bool(raw.get("attention_bias", False)),
        mlp_bias=family == "llama" and bool(raw.get("mlp_bias", False)),
        qk_norm=family == "qwen3",
        sliding_window=sliding,
        sliding_layers=sliding_layers,
        end_tokens=_end_tokens(generation or {}, raw),
    )


def _sliding(raw: dict[str, Any], *, family: str, layers: int) -> tuple[int | None, tuple[bool, ...]]:
    """The sliding window, and which layers use it: all of Mistral's, and those that Qwen's config names."""
    size = raw.get("sliding_window")
    if not size or family == "llama":
        return None, ()
    if family == "mistral":
        return int(size), (True,) * layers
    if not raw.get("use_sliding_window", False):
        return None, ()
    kinds = raw.get("layer_types")
    if kinds:
        return int(size), tuple(kind == "sliding_attention" for kind in kinds)
    full_layers = int(raw.get("max_window_layers", 28))
    return int(size), tuple(layer >= full_layers for layer in range(layers))


def _end_tokens(*sources: dict[str, Any]) -> tuple[int, ...]:
    for source in sources:
        value = source.get("eos_token_id")
        if value is not None:
            return tuple(value) if isinstance(value, list) else (int(value),)
    return ()


def from_gguf(file: GGUFFile) -> ModelConfig:
    """The config of a GGUF file. Raises ModelError for an architecture or a missing field we cannot serve."""
    metadata = file.metadata
    family = str(metadata.get("general.architecture"))

    def number(key: str, default: float | None = None) -> Any:
        value = metadata.get(f"{family}.{key}", default)
        if value is None:
            raise ModelError(f"{file.path} lacks the metadata field {family}.{key}")
        return value

    heads = int(number("attention.head_count"))
    hidden_size = int(number("embedding_length"))
    window = int(number("context_length"))
    end = metadata.get("tokenizer.ggml.eos_token_id")
    turn_end = metadata.get("tokenizer.ggml.eot_token_id")
    return ModelConfig(
        family=family,
        hidden_size=hidden_size,
        intermediate_size=int(number("feed_forward_length")),
        layers=int(number("block_count")),
        heads=heads,
        kv_heads=int(number("attention.head_count_kv", heads)),
        head_size=int(number("attention.key_length", hidden_size // heads)),
        vocabulary=file.tensors["token_embd.weight"].shape[0],
        window=window,
        norm_epsilon=float(number("attention.layer_norm_rms_epsilon")),
        rope_base=float(number("rope.freq_base", 10000.0)),
        rope_scaling=_gguf_rope(metadata, family, window),
        tied_head="output.weight" not in file.tensors,
        qkv_bias="blk.0.attn_q.bias" in file.tensors,
        output_bias="blk.0.attn_output.bias" in file.tensors,
        qk_norm="blk.0.attn_q_norm.weight" in file.tensors,
        end_tokens=tuple(int(token) for token in (end, turn_end) if token is not None),
    )


def _gguf_rope(metadata: dict[str, Any], family: str, window: int) -> dict[str, Any]:
    kind = metadata.get(f"{family}.rope.scaling.type", "none")
    if kind == "none":
        return {"rope_type": "default"}
    scaling = {
        "rope_type": str(kind),
        "factor": float(metadata.get(f"{family}.rope.scaling.factor", 1.0)),
        "max_position_embeddings": window,
    }
    original = metadata.get(f"{family}.rope.scaling.original_context_length")
    if original:
        scaling["original_max_position_embeddings"] = int(original)
    return scaling
