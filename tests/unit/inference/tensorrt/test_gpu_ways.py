"""Which way a GPU is used: the first one that computes right, and the operator is told why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from inference.errors import InferenceError
from inference.executor.base import Executor
from inference.executor.gpu import first_right
from inference.executor.torch_executor import TorchExecutor
from inference.tensorrt import device
from inference.tensorrt.device import Machine
from inference.tensorrt.slot_executor import SlotExecutor
from inference.weights import open_weights
from tests.unit.inference.tensorrt.checked import POSITIONS, Crossed, failed, interpreted, reference

GPU = Machine(gpu="NVIDIA L4", capability=89)


def test_a_way_that_computes_wrong_is_left_for_the_next(checkpoint: Path, trt: Any, caplog: Any) -> None:
    ways: dict[str, Any] = {
        "tensorrt": lambda: Crossed(interpreted(checkpoint)),
        "cuda": lambda: interpreted(checkpoint),
    }
    executor, choice = first_right(ways, lambda: reference(checkpoint), reason="NVIDIA L4")
    assert isinstance(executor, SlotExecutor)
    assert choice.device == "cuda"
    assert "tensorrt failed: " in choice.reason
    assert "this way to use the GPU failed" in caplog.text


@pytest.mark.parametrize("error", [OSError("no space left on device"), ValueError("odd"), RuntimeError("CUDA error")])
def test_whatever_breaks_on_the_way_the_next_one_is_taken_and_finds_the_memory_free(
    error: Exception, checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[SlotExecutor] = []

    def broken() -> Executor:
        made.append(interpreted(checkpoint))
        monkeypatch.setattr(made[0], "forward", lambda _segments: (_ for _ in ()).throw(error))
        return made[0]

    def next_one() -> Executor:
        assert not made[0].caches  # given back before the next one takes its own
        return interpreted(checkpoint)

    ways: dict[str, Any] = {"tensorrt": broken, "cuda": next_one}
    _, choice = first_right(ways, lambda: reference(checkpoint), reason="NVIDIA L4")
    assert choice.device == "cuda"
    assert str(error) in choice.reason


def test_when_no_way_is_right_the_operator_is_told_all_reasons(checkpoint: Path, trt: Any) -> None:
    def fail() -> Executor:
        raise InferenceError("the plan does not fit.")

    ways: dict[str, Any] = {"tensorrt": fail, "cuda": lambda: Crossed(interpreted(checkpoint))}
    with pytest.raises(InferenceError, match=r"does not fit.*cuda failed.*INFERENCE_DEVICE=cpu"):
        first_right(ways, lambda: reference(checkpoint), reason="")


def test_the_torch_executor_computes_the_same_with_a_devices_own_cache(checkpoint: Path) -> None:
    elsewhere = TorchExecutor(
        open_weights(checkpoint), slots=3, positions=POSITIONS, precision="float32", device=torch.device("cpu", 0)
    )
    assert failed(elsewhere, checkpoint) == set()


@pytest.mark.parametrize(
    ("wanted", "machine", "expected", "reason"),
    [
        ("auto", GPU, "tensorrt", "NVIDIA L4"),
        ("auto", Machine(gpu="NVIDIA L4", no_tensorrt="not installed"), "cuda", "not installed"),
        ("auto", Machine(no_gpu="torch finds no CUDA device"), "cpu", "no CUDA device"),
        ("cpu", GPU, "cpu", "INFERENCE_DEVICE"),
        ("cuda", GPU, "cuda", "INFERENCE_DEVICE"),
    ],
)
def test_the_device_is_chosen_with_a_reason(wanted: str, machine: Machine, expected: str, reason: str) -> None:
    choice = device.choose(wanted, machine)
    assert choice.device == expected
    assert reason in choice.reason


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
def test_a_named_device_that_is_not_there_is_refused(wanted: str) -> None:
    with pytest.raises(InferenceError, match="no CUDA device"):
        device.choose(wanted, Machine(no_gpu="torch finds no CUDA device"))


def test_this_machine_can_be_looked_at() -> None:
    seen = device.look()
    assert bool(seen.gpu) != bool(seen.no_gpu)
