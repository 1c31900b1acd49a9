"""FP8 on both sides of every product: scaled by what the checkpoint itself was seen to compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from inference.executor.base import Segment
from inference.executor.interpreter_executor import make_interpreter_executor
from inference.executor.torch_executor import TorchExecutor
from inference.tensorrt import calibration
from inference.tensorrt.calibration import activation_maxima
from inference.tensorrt.gpu_check import SHORT, Subject, examine
from inference.tensorrt.semantics import Operations
from inference.tensorrt.slot_executor import SlotExecutor
from inference.tensorrt.weight_set import fp8_scales, in_fp8
from inference.weights import open_weights
from tests.unit.inference.test_model_agreement import CASES, save_random_checkpoint

SLOTS, POSITIONS = 4, 64


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured is kept below the working directory."""
    monkeypatch.chdir(tmp_path)


def executors(path: Path) -> tuple[SlotExecutor, TorchExecutor]:
    sizes = {"slots": SLOTS, "positions": POSITIONS}
    interpreted = make_interpreter_executor(open_weights(path), precision="float16-fp8", max_chunk=8, **sizes)
    return interpreted, TorchExecutor(open_weights(path), precision="float32", **sizes)


@pytest.mark.parametrize("case", ["llama, biases everywhere", "mistral", "qwen2", "qwen3"])
def test_all_families_stay_near(case: str, tmp_path: Path, trt: Any) -> None:
    family, overrides = CASES[case]
    save_random_checkpoint(tmp_path, family, overrides)
    interpreted, reference = executors(tmp_path)
    generator = torch.Generator().manual_seed(11)
    texts = [torch.randint(0, 97, (length,), generator=generator).tolist() for length in (25, 3, 14)]
    segments = [Segment(slot, 0, text) for slot, text in enumerate(texts)]
    expected = reference.forward(segments)
    assert 1e-3 < (interpreted.forward(segments) - expected).norm() / expected.norm() < 0.15


def test_a_checkpoint_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_random_checkpoint(tmp_path, "Llama", {})
    source = open_weights(tmp_path)
    first = activation_maxima(source)
    products = ("qkv", "output", "gate_up", "down")
    assert set(first) == {f"layers.{layer}.{name}" for layer in range(source.config.layers) for name in products}
    (kept,) = calibration.DEFAULT_ROOT.glob("*.json")
    kept.write_text(json.dumps({name: 2 * value for name, value in first.items()}))
    assert activation_maxima(source) == {name: 2 * value for name, value in first.items()}
    kept.write_text("damaged")
    assert activation_maxima(source) == first


def test_another_checkpoint_has_its_own_maxima(tmp_path: Path) -> None:
    for name, seed in (("base", 7), ("tuned", 8)):
        save_random_checkpoint(tmp_path / name, "Llama", {}, seed=seed)
    found = [activation_maxima(open_weights(tmp_path / name)) for name in ("base", "tuned")]
    assert found[0] != found[1]
    assert len(list(calibration.DEFAULT_ROOT.glob("*.json"))) == 2


def test_scales_that_do_not_fit_are_refused_by_the_check(tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, "Llama", {})
    source = open_weights(tmp_path)
    maxima = activation_maxima(source)
    (kept,) = calibration.DEFAULT_ROOT.glob("*.json")
    kept.write_text(json.dumps({name: value / 20 for name, value in maxima.items()}))  # most of it is cut off
    results = list(examine(Subject(*executors(tmp_path)), SHORT))
    assert "prefill" in {result.name for result in results if not result.is_good}


def test_what_is_too_large_becomes_the_largest(trt: Any) -> None:
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(0)
    x, scale = (network.add_input(name, trt.DataType.FLOAT, shape) for name, shape in (("x", [4]), ("scale", [1])))
    layer = network.add_quantize(x, scale, trt.DataType.FP8)
    seen = Operations(trt).quantize(layer, torch.tensor([1e6, -1e6, 1.06, 0.0]), torch.tensor([0.5]))
    assert seen.float().tolist() == [448.0, -448.0, 2.0, 0.0]


def test_weights_are_within_a_16th_of_their_own() -> None:
    matrix = torch.randn(5, 400) * torch.tensor([0.01, 1.0, 3.0, 100.0, 0.0]).unsqueeze(1)
    stored = in_fp8(matrix).float() * fp8_scales(matrix).unsqueeze(1)
    smallest = fp8_scales(matrix).unsqueeze(1) * 2**-10  # half of the smallest number there is
    assert ((stored - matrix).abs() <= matrix.abs() / 16 + smallest + 1e-12).all()
