"""The default model itself in the plan's precisions: 16 bits say the same, and the gate takes int8 and refuses FP8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from inference.executor.base import Executor, Segment
from inference.executor.interpreter_executor import make_interpreter_executor
from inference.executor.torch_executor import TorchExecutor
from inference.fetch import fetch
from inference.tensorrt.gpu_check import Subject, chunks, examine, prefill
from inference.tokenizer import load_tokenizer
from inference.weights import WeightSource, open_weights

CORPUS = (
    "The capital of France is Paris. It lies on the Seine, and more than two million people live there.",
    "To boil an egg, put it in a pot of cold water, bring the water to a boil, and wait for seven minutes.",
    "def reverse(items):\n    result = []\n    for item in items:\n        result.insert(0, item)\n    return result\n",
    "Photosynthesis is how plants turn sunlight, water and carbon dioxide into sugar and oxygen.",
)
SIZES = {"slots": 4, "positions": 64}


@pytest.fixture(scope="module")
def source() -> WeightSource:
    return open_weights(fetch(Path(__file__).parents[4] / "var" / "models"))


@pytest.fixture(scope="module")
def reference(source: WeightSource) -> TorchExecutor:
    return TorchExecutor(source, precision="float32", **SIZES)


def interpreted(source: WeightSource, precision: str) -> Executor:
    return make_interpreter_executor(source, precision=precision, max_chunk=32, **SIZES)


@pytest.mark.parametrize(
    ("precision", "margin", "decided"), [("float32", 0.001, 95), ("float16", 0.1, 90), ("bfloat16", 0.5, 75)]
)
def test_the_likeliest_token_is_the_references_wherever_that_leads_by_a_margin(
    precision: str, margin: float, decided: int, source: WeightSource, reference: TorchExecutor, trt: Any
) -> None:
    """Nearer than the margin (nats) two tokens may change places, in these numbers of bits as in any engine's."""
    texts = [load_tokenizer(source).encode_text(text) for text in CORPUS]
    rows = [Segment(slot, 0, tokens, logits=len(tokens)) for slot, tokens in enumerate(texts)]
    expected, got = reference.forward(rows), interpreted(source, precision).forward(rows)
    first, second = expected.topk(2).values.unbind(-1)
    leads = first - second > margin
    assert int(leads.sum()) >= decided
    assert torch.equal(got.argmax(-1)[leads], expected.argmax(-1)[leads])


@pytest.mark.parametrize(("precision", "is_taken"), [("bfloat16-int8", True), ("bfloat16-fp8", False)])
def test_the_gate_takes_weights_of_8_bits_for_it_and_refuses_fp8(
    precision: str, is_taken: bool, source: WeightSource, reference: TorchExecutor, trt: Any
) -> None:
    results = list(examine(Subject(interpreted(source, precision), reference), (prefill, chunks)))
    assert [(result.name, result.is_good) for result in results] == [("prefill", is_taken), ("chunks", is_taken)]
