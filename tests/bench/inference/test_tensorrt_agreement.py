"""A thousand decoded tokens of the default model on the interpreted TensorRT network, against two other decoders.

They are the torch model and, sharing no code with it, ONNX in onnxruntime. All get the torch model's own tokens, so one
disagreement does not lead the rest astray.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inference.executor.base import Executor, Segment
from inference.executor.interpreter_executor import make_interpreter_executor
from inference.executor.torch_executor import TorchExecutor
from inference.fetch import fetch
from inference.tokenizer import load_tokenizer
from inference.weights import WeightSource, open_weights
from tests.unit.inference.tensorrt.onnx_oracle import OnnxDecoder

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx has wheels for x86-64 Linux and Windows only")
QUESTIONS = (
    "What is the capital of France?",
    "Name three colours of the rainbow.",
    "Write a short poem about the sea.",
    "Explain photosynthesis to a child.",
    "How do I boil an egg?",
    "Write a Python function that reverses a list.",
    "Who wrote Hamlet, and when?",
    "Give me a plan for a weekend in Rome.",
)
STEPS = 125
POSITIONS = 256


@pytest.fixture(scope="module")
def source() -> WeightSource:
    return open_weights(fetch(Path(__file__).parents[3] / "var" / "models"))


@pytest.fixture(scope="module")
def decoded(source: WeightSource) -> tuple[list[list[int]], list[torch.Tensor]]:
    """The prompts, and the reference's logits at every step of its own greedy replies."""
    tokenizer = load_tokenizer(source)
    prompts = [tokenizer.encode_messages([{"role": "user", "content": question}]) for question in QUESTIONS]
    return prompts, run(TorchExecutor(source, slots=8, positions=POSITIONS, precision="float32"), prompts, None)


def run(executor: Executor, prompts: list[list[int]], guide: list[torch.Tensor] | None) -> list[torch.Tensor]:
    """Logits of every step; what follows is `guide`'s likeliest token, or the executor's own without one."""
    logits = [executor.forward([Segment(slot, 0, prompt) for slot, prompt in enumerate(prompts)])]
    for step in range(STEPS - 1):
        chosen = (guide or logits)[step].argmax(-1).tolist()
        lengths = [len(prompt) + step for prompt in prompts]
        rows = [Segment(slot, length, [chosen[slot]]) for slot, length in enumerate(lengths)]
        logits.append(executor.forward(rows))
    executor.close()
    return logits


@pytest.fixture(scope="module")
def said_by_onnx(source: WeightSource, decoded: tuple[list[list[int]], list[torch.Tensor]]) -> torch.Tensor:
    """What onnxruntime computes at every one of those steps."""
    prompts, guide = decoded
    oracle = OnnxDecoder(source, rows=len(prompts), capacity=POSITIONS)
    rows = [oracle.step([prompt], [0], first_row=row)[0, -1] for row, prompt in enumerate(prompts)]
    logits = [torch.stack(rows)]
    for step in range(STEPS - 1):
        tokens = [[token] for token in guide[step].argmax(-1).tolist()]
        logits.append(oracle.step(tokens, [len(prompt) + step for prompt in prompts])[:, -1])
    return torch.cat(logits)


def beside(truth: torch.Tensor, seen: torch.Tensor, what: str) -> tuple[float, float]:
    """The share of rows with the same likeliest token, and the mean divergence in nats; both are printed."""
    same = float((truth.argmax(-1) == seen.argmax(-1)).double().mean())
    logs = truth.double().log_softmax(-1)
    apart = float((logs.exp() * (logs - seen.double().log_softmax(-1))).sum(-1).mean())
    worst = float((truth - seen).abs().max())
    print(f"{what}: same token in {same:.1%} of {len(truth)}, {apart:.2g} nats, largest difference {worst:.2g}")
    return same, apart


def test_the_torch_model_and_onnxruntime_say_the_same(
    decoded: tuple[list[list[int]], list[torch.Tensor]], said_by_onnx: torch.Tensor
) -> None:
    same, apart = beside(torch.cat(decoded[1]), said_by_onnx, "torch, beside onnxruntime")
    assert same == 1.0
    assert apart <= 1e-9


@pytest.mark.parametrize(
    ("precision", "agreement", "divergence"),
    [
        ("float32", 1.0, 1e-9),
        ("float16", 0.99, 1e-3),
        ("bfloat16", 0.97, 5e-3),
        ("float16-int8", 0.94, 0.02),
        ("bfloat16-int8", 0.94, 0.02),
        ("float16-fp8", 0.8, 0.15),
        ("bfloat16-fp8", 0.8, 0.15),
        ("float16-int4", 0.99, 1e-3),  # the file's own 4 bits: nothing is rounded
        ("bfloat16-int4", 0.94, 0.02),
    ],
)
def test_decoded_tokens_agree(
    precision: str,
    agreement: float,
    divergence: float,
    source: WeightSource,
    decoded: tuple[list[list[int]], list[torch.Tensor]],
    said_by_onnx: torch.Tensor,
) -> None:
    prompts, expected = decoded
    made = make_interpreter_executor(source, slots=8, positions=POSITIONS, precision=precision, max_chunk=128)
    seen = torch.cat(run(made, prompts, expected))
    for oracle, truth in (("torch", torch.cat(expected)), ("onnxruntime", said_by_onnx)):
        same, apart = beside(truth, seen, f"{precision}, beside {oracle}")
        assert same >= agreement
        assert apart <= divergence
