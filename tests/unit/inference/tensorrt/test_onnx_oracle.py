"""Three independent decoders, one arithmetic: the interpreted TensorRT network, onnxruntime, and the torch model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from inference.executor.base import Segment
from inference.weights import open_weights
from tests.unit.inference.tensorrt.test_network_agreement import POSITIONS, executors, prompts
from tests.unit.inference.test_model_agreement import CASES, save_random_checkpoint

FAMILIES = ("llama, biases everywhere", "llama, rope llama3", "mistral", "qwen2", "qwen3, tied head, yarn")


@pytest.mark.parametrize("case", FAMILIES)
def test_chunked_prefill_and_ragged_decode_agree_with_onnxruntime(case: str, tmp_path: Path, trt: Any) -> None:
    from tests.unit.inference.tensorrt.onnx_oracle import OnnxDecoder

    family, overrides = CASES[case]
    save_random_checkpoint(tmp_path, family, overrides)
    oracle = OnnxDecoder(open_weights(tmp_path), rows=2, capacity=POSITIONS)
    interpreted, reference = executors(tmp_path)
    texts = prompts(21, 6)
    for row, prompt in enumerate(texts):
        for start in range(0, len(prompt), 8):
            piece = prompt[start : start + 8]
            segments = [Segment(row, start, piece)]
            expected = oracle.step([piece], [start], first_row=row)[0, -1:]
            torch.testing.assert_close(interpreted.forward(segments), expected, atol=1e-4, rtol=1e-5)
            torch.testing.assert_close(reference.forward(segments), expected, atol=1e-4, rtol=1e-5)
    for _ in range(10):
        for prompt in texts:
            prompt.append((prompt[-1] * 7 + 3) % 97)
        starts = [len(prompt) - 1 for prompt in texts]
        segments = [Segment(row, start, texts[row][-1:]) for row, start in enumerate(starts)]
        expected = oracle.step([prompt[-1:] for prompt in texts], starts)[:, 0]
        torch.testing.assert_close(interpreted.forward(segments), expected, atol=1e-4, rtol=1e-5)
