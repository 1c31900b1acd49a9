"""Which processor runs the model, and why: TensorRT on a GPU, torch on a GPU, or the CPU."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import torch

from inference.errors import InferenceError

DEVICES = ("auto", "cpu", "cuda", "tensorrt")
GPU = torch.device("cuda")


@dataclass(frozen=True)
class Machine:
    """What is here. Each `no_` says why a thing is not, and is empty when it is. `capability` is 89 for 8.9."""

    gpu: str = ""
    capability: int = 0
    memory: int = 0
    no_gpu: str = ""
    no_tensorrt: str = ""


@dataclass(frozen=True)
class Choice:
    """The device, and the reason in words for a log."""

    device: str
    reason: str


def look() -> Machine:
    """This machine. Nothing of NVIDIA's is loaded unless there is a GPU."""
    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return Machine(no_gpu="this torch was built without CUDA")
    if not torch.cuda.is_available():
        return Machine(no_gpu="torch finds no CUDA device")
    major, minor = torch.cuda.get_device_capability()
    found = any(importlib.util.find_spec(name) for name in ("tensorrt", "tensorrt_rtx"))
    return Machine(
        gpu=torch.cuda.get_device_name(),
        capability=10 * major + minor,
        memory=torch.cuda.mem_get_info()[0],
        no_tensorrt="" if found else "neither parley[tensorrt] nor parley[tensorrt-rtx] is installed",
    )


def choose(wanted: str, machine: Machine) -> Choice:
    """The device for `wanted` on `machine`. Raises InferenceError when one is named that cannot be had."""
    if wanted == "cpu":
        return Choice("cpu", "INFERENCE_DEVICE says so")
    if machine.no_gpu:
        if wanted == "auto":
            return Choice("cpu", machine.no_gpu)
        raise InferenceError(f"INFERENCE_DEVICE={wanted}, but {machine.no_gpu}.")
    if wanted == "cuda":
        return Choice("cuda", f"INFERENCE_DEVICE says so; {machine.gpu}")
    if machine.no_tensorrt:
        if wanted == "auto":
            return Choice("cuda", f"{machine.gpu}, but {machine.no_tensorrt}")
        raise InferenceError(f"INFERENCE_DEVICE=tensorrt, but {machine.no_tensorrt}.")
    return Choice("tensorrt", f"{machine.gpu}, compute capability {machine.capability / 10}")


def half_precision(capability: int) -> str:
    """The 16-bit type for a GPU: bfloat16 where it has one."""
    return "bfloat16" if capability >= 80 else "float16"
