"""A model on a GPU: TensorRT if its answers are right, else torch, else the operator is told why not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from inference.errors import InferenceError
from inference.executor.base import Executor
from inference.executor.torch_executor import TorchExecutor
from inference.settings import Settings
from inference.tensorrt import device
from inference.tensorrt.device import Choice, half_precision
from inference.tensorrt.gpu_check import LEAST_POSITIONS, SHORT, Subject, examine
from inference.tensorrt.precision import STORED, precision_for
from inference.weights import WeightSource

logger = logging.getLogger(__name__)
REFERENCE_POSITIONS = 64
LARGEST_IN_FLOAT32 = 2e9
"""Parameters of a model that the machine's own memory holds in float32 beside all else."""
Make = Callable[[], Executor]


class GpuFailedError(InferenceError):
    """No way to use the GPU computes the model; the message holds every way's reasons."""


def make_gpu_executor(
    source: WeightSource, settings: Settings, choice: Choice, *, positions: int
) -> tuple[Executor, Choice]:
    """The checked executor and where it runs in the end. Raises GpuFailedError when nothing on the GPU is right."""
    precision = gpu_precision(settings.precision)
    sizes: dict[str, Any] = {"slots": settings.slots, "positions": max(positions, LEAST_POSITIONS)}

    def with_tensorrt() -> Executor:
        from inference.executor.tensorrt_executor import make_tensorrt_executor

        return make_tensorrt_executor(source, precision=precision, max_chunk=settings.chunk, **sizes)

    def with_torch() -> Executor:
        return TorchExecutor(source, precision=precision.split("-")[0], device=device.GPU, **sizes)

    ways: dict[str, Make] = {"tensorrt": with_tensorrt, "cuda": with_torch}
    if choice.device == "cuda":
        del ways["tensorrt"]
    elif settings.device == "tensorrt":
        del ways["cuda"]
    return first_right(ways, lambda: make_reference(source), reason=choice.reason)


def first_right(ways: dict[str, Make], reference: Make, *, reason: str) -> tuple[Executor, Choice]:
    """The first way whose executor passes the short check. Raises GpuFailedError, with all reasons, when none does."""
    failures: list[str] = []
    for way, make in ways.items():
        executor, problems = attempt(make, reference)
        if executor:
            return executor, Choice(way, "; ".join([reason, *failures]))
        failures.append(f"{way} failed: {'; '.join(problems)}")
        logger.error("this way to use the GPU failed", extra={"way": way, "reasons": problems})
    raise GpuFailedError(f"The GPU cannot be used. {' '.join(failures)} Set INFERENCE_DEVICE=cpu to do without it.")


def attempt(make: Make, reference: Make) -> tuple[Executor | None, list[str]]:
    """The executor if it answers rightly, else what is wrong; then nothing of it is left for the next one's memory."""
    executor: Executor | None = None
    try:
        executor = make()
        problems = check(executor, reference)
    except InferenceError as error:
        problems = [str(error)]
    except Exception as error:  # NVIDIA's runtime, CUDA, a full disk: the next way may well do without
        logger.exception("unexpected")
        problems = [f"{type(error).__name__}: {error}"]
    if not problems:
        return executor, []
    if executor:
        with suppress(Exception):  # a GPU that is out of order refuses this, too
            executor.close()
    return None, problems


def check(executor: Executor, reference: Make) -> list[str]:
    """What the short check finds wrong with `executor`."""
    against = reference()
    try:
        results = list(examine(Subject(executor, against), SHORT))
    finally:
        against.close()
    for result in results:
        logger.info("checked", extra={"question": result.name, "good": result.is_good, "detail": result.detail})
    return [f"{result.name}: {result.detail}" for result in results if not result.is_good]


def make_reference(source: WeightSource, *, positions: int = REFERENCE_POSITIONS) -> Executor:
    """The model on the CPU, in float32 where that is small."""
    precision = "float32" if source.config.parameters < LARGEST_IN_FLOAT32 else "bfloat16"
    return TorchExecutor(source, slots=2, positions=positions, precision=precision)


def gpu_precision(wanted: str) -> str:
    """The precision on this GPU. Raises InferenceError for one that is not for GPUs."""
    major, minor = torch.cuda.get_device_capability()
    half = half_precision(10 * major + minor)
    if wanted not in ("auto", "float16", "bfloat16", *STORED):
        raise InferenceError(
            f"INFERENCE_PRECISION={wanted} is for CPUs; on a GPU, choose float16, bfloat16, quantised, fp8 or int4."
        )
    return precision_for(wanted, half)
