"""How large the inputs of each product get: what FP8 scales them by. Measured once a checkpoint, and kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from inference.errors import InferenceError
from inference.executor.base import Segment
from inference.executor.torch_executor import SegmentAttention
from inference.kv_cache import KeyValueCache
from inference.linear import DenseLinear, Linear
from inference.model import Decoder, load_decoder
from inference.tensorrt.files import replace_file
from inference.tokenizer import load_tokenizer
from inference.weights import WeightSource

DEFAULT_ROOT = Path("var") / "calibration"
LARGEST_IN_FLOAT32 = 2e9
"""Parameters; a larger model is measured in bfloat16, which takes half the memory."""
TEXTS = (
    "The capital of France is Paris, a city on the Seine with two million people. It is known for its museums, "
    "bridges and cafes, and for the Eiffel Tower, which was built in 1889.",
    "To boil an egg, put it in a pot of cold water, bring the water to a boil, turn off the heat and cover the pot. "
    "Wait ten minutes, then cool the egg in ice water.",
    "def reverse(items):\n    result = []\n    for item in items:\n        result.insert(0, item)\n    return result\n",
    "Once upon a time a lighthouse keeper's daughter found a bottle on the beach. Inside was a letter: «Come quickly!»",
    "| year | people | share |\n|---|---:|---:|\n| 1999 | 12,345 | 3.7 % |\n| 2024 | 98,765 | 41 % |\n",
    "法国的首都是巴黎。水在一百摄氏度沸腾。¿Dónde está la biblioteca? Das Wetter ist heute schön.",
)
NOISE = 96
"""Random tokens besides: whatever people may send, and all there is when a checkpoint has no tokenizer."""
Maxima = dict[str, float]


def activation_maxima(source: WeightSource, *, root: Path = DEFAULT_ROOT) -> Maxima:
    """The largest input of each product, by its name in the contract. Raises ModelError."""
    path = root / f"{_key(source)}.json"
    try:
        return {str(name): float(largest) for name, largest in json.loads(path.read_text()).items()}
    except (OSError, ValueError):
        maxima = measure(source)
    root.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(maxima, indent=1).encode())
    return maxima


def _key(source: WeightSource) -> str:
    corpus = hashlib.sha256("\n".join((*TEXTS, str(NOISE))).encode()).hexdigest()[:8]
    return f"{source.fingerprint()}-{corpus}"


@torch.inference_mode()
def measure(source: WeightSource) -> Maxima:
    """The maxima over the corpus, by the torch model on the CPU."""
    dtype = torch.float32 if source.config.parameters < LARGEST_IN_FLOAT32 else torch.bfloat16
    corpus = _corpus(source)
    positions = max(map(len, corpus))
    decoder = load_decoder(
        source,
        make_linear=lambda weight, bias: DenseLinear(weight, bias, dtype),
        make_head=lambda weight, bias: DenseLinear(weight, bias, weight.dtype),  # not run
        positions=positions,
    )
    maxima: Maxima = {}
    _observe(decoder, maxima)
    cache = KeyValueCache(source.config, slots=1, positions=positions, dtype=dtype)
    for tokens in corpus:
        places = torch.arange(len(tokens))
        attention = SegmentAttention(source.config, cache, [Segment(0, 0, tokens)], places)
        decoder.forward(torch.tensor(tokens), places, attention)
    return maxima


def _corpus(source: WeightSource) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, source.config.vocabulary, (NOISE,), generator=generator).tolist()
    try:
        tokenizer = load_tokenizer(source)
    except InferenceError:
        return [noise]
    return [*(tokenizer.encode_text(text) for text in TEXTS), noise]


def _observe(decoder: Decoder, maxima: Maxima) -> None:
    for index, layer in enumerate(decoder.layers):
        for name in ("qkv", "output", "gate_up", "down"):
            setattr(layer, name, _Observed(getattr(layer, name), f"layers.{index}.{name}", maxima))


class _Observed:
    """A product that notes how large its input gets."""

    def __init__(self, linear: Linear, name: str, maxima: Maxima) -> None:
        self.outputs = linear.outputs
        self._linear, self._name, self._maxima = linear, name, maxima

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self._maxima[self._name] = max(self._maxima.get(self._name, 0.0), float(x.abs().max()))
        return self._linear(x)
