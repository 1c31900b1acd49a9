"""How the service runs: from the environment, each with a safe default; the command line overrides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from inference.errors import InferenceError
from inference.fetch import CHAT_MODEL, EMBEDDER

ENVIRONMENT = {
    "model": "MODEL",
    "embedder": "INFERENCE_EMBEDDER",
    "name": "INFERENCE_MODEL_NAME",
    "host": "INFERENCE_HOST",
    "port": "INFERENCE_PORT",
    "api_key": "INFERENCE_API_KEY",
    "threads": "INFERENCE_THREADS",
    "device": "INFERENCE_DEVICE",
    "engine": "INFERENCE_ENGINE",
    "precision": "INFERENCE_PRECISION",
    "slots": "INFERENCE_SLOTS",
    "kv_tokens": "INFERENCE_KV_TOKENS",
    "context": "INFERENCE_CONTEXT",
    "chunk": "INFERENCE_PREFILL_CHUNK",
    "draft_tokens": "INFERENCE_DRAFT_TOKENS",
    "queue_limit": "INFERENCE_QUEUE_LIMIT",
    "user_slots": "INFERENCE_USER_SLOTS",
    "largest_body": "INFERENCE_LARGEST_BODY",
    "largest_n": "INFERENCE_LARGEST_N",
    "reader_seconds": "INFERENCE_READER_SECONDS",
    "ahead_seconds": "INFERENCE_AHEAD_SECONDS",
    "drain_seconds": "INFERENCE_DRAIN_SECONDS",
}
DEFAULT_PATH = CHAT_MODEL.path()
DEFAULT_EMBEDDER = EMBEDDER.path()

CHOICES = {
    "device": ("auto", "cpu", "cuda", "tensorrt"),
    "engine": ("auto", "fused", "torch", "interpreter"),
    "precision": ("auto", "float32", "float16", "bfloat16", "quantised", "fp8", "int4"),
}


@dataclass(frozen=True)
class Settings:
    """One process's settings. Sizes of the cache count tokens, `largest_body` counts bytes."""

    model: Path = DEFAULT_PATH
    embedder: Path = DEFAULT_EMBEDDER
    name: str = ""
    host: str = "127.0.0.1"
    port: int = 8001
    api_key: str = ""
    threads: int = 0
    device: str = "auto"
    engine: str = "auto"
    precision: str = "auto"
    slots: int = 32
    kv_tokens: int = 65_536
    context: int = 0
    chunk: int = 256
    draft_tokens: int = 3
    queue_limit: int = 512
    user_slots: int = 8
    largest_body: int = 4_000_000
    largest_n: int = 8
    reader_seconds: float = 30.0
    ahead_seconds: float = 2.0
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("slots", "kv_tokens", "chunk", "queue_limit", "user_slots", "largest_body", "largest_n"):
            if getattr(self, name) < 1:
                raise InferenceError(f"{ENVIRONMENT[name]} must be at least 1.")
        if self.draft_tokens < 0:
            raise InferenceError(f"{ENVIRONMENT['draft_tokens']} must be 0 (none) or more.")
        for name in ("reader_seconds", "ahead_seconds", "drain_seconds"):
            if not getattr(self, name) > 0:
                raise InferenceError(f"{ENVIRONMENT[name]} must be more than 0.")
        if not 0 <= self.port < 65536:
            raise InferenceError(f"{ENVIRONMENT['port']} must be between 0 and 65535.")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InferenceError(f"{ENVIRONMENT[name]} must be one of {', '.join(choices)}.")

    @property
    def model_name(self) -> str:
        """The name clients ask for: the one that was set, or the model's folder or file."""
        return self.name or name_of(self.model)

    @property
    def thread_count(self) -> int:
        return self.threads or len(os.sched_getaffinity(0))


def name_of(path: Path) -> str:
    """The name that a model's path suggests."""
    path = path.resolve()
    if path.name == "model.gguf":
        return path.parent.name
    return path.stem if path.suffix == ".gguf" else path.name


def from_environment(environment: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from variables and, on top, from what is not None in `overrides`. Raises InferenceError."""
    types = {field.name: type(getattr(Settings(), field.name)) for field in fields(Settings)}
    values: dict[str, Any] = {}
    for name, variable in ENVIRONMENT.items():
        text = environment.get(variable, "").strip()
        if not text:
            continue
        try:
            values[name] = Path(text) if name in ("model", "embedder") else types[name](text)
        except ValueError as error:
            raise InferenceError(f"{variable}={text!r} is not a number.") from error
    values |= {name: value for name, value in overrides.items() if value is not None}
    return replace(Settings(), **values)
