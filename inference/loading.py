"""From a path to a model that can be served: weights, tokenizer, and the executor that suits this machine."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

import torch

from inference.config import ModelConfig
from inference.errors import InferenceError, ModelError
from inference.executor.base import Executor
from inference.executor.fused_executor import FusedExecutor
from inference.executor.torch_executor import PRECISIONS, TorchExecutor
from inference.grammar import GrammarCompiler
from inference.kernels.build import KernelsUnavailableError
from inference.kernels.decoder import UnsupportedModelError
from inference.linear import DenseLinear, PackedLinear, can_pack_bfloat16
from inference.probe import kernels_over_torch
from inference.settings import Settings
from inference.tensorrt import device
from inference.tensorrt.device import Choice
from inference.tensorrt.precision import precision_for
from inference.tokenizer import TextTokenizer, load_tokenizer
from inference.weights import WeightSource, open_weights

logger = logging.getLogger(__name__)
GPU_PRECISIONS = ("float16", "fp8", "int4")
TORCH_ADVANTAGE = 1.1
"""Torch is taken only when it is this much faster: with the kernels a seed gives the same reply in any company."""
PROBE_ROWS = 16
PROBE_ROUNDS = 5


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run. `version` names the exact weights; `max_len` is prompt and reply together."""

    version: str
    config: ModelConfig
    tokenizer: TextTokenizer
    grammars: GrammarCompiler
    executor: Executor
    max_len: int
    device: Choice

    @property
    def template_sha256(self) -> str:
        return self.tokenizer.template.sha256 if self.tokenizer.template else ""

    @property
    def fingerprint(self) -> str:
        """What decides the reply besides the request: engine, precision, weights and template."""
        return f"parley-{self.executor.precision}-{self.version}-{self.template_sha256[:8] or 'plain'}"


def load_model(settings: Settings) -> LoadedModel:
    """Load `settings.model`. Call it in the thread that will run the model. Raises ModelError."""
    began = time.monotonic()
    torch.set_num_threads(settings.thread_count)
    source = open_weights(settings.model)
    tokenizer = load_tokenizer(source)
    config = source.config
    max_len = min(settings.context or config.window, config.window, settings.kv_tokens)
    try:
        executor, choice = place(source, settings, positions=max_len)
    except RuntimeError as error:
        raise ModelError(f"{settings.model} does not fit its config: {error}") from error
    logger.info(
        "model loaded",
        extra={
            "model": settings.model_name,
            "precision": executor.precision,
            "device": choice.device,
            "reason": choice.reason,
            "max_len": max_len,
            "slots": settings.slots,
            "seconds": round(time.monotonic() - began, 2),
        },
    )
    version = f"{settings.model_name}@{source.fingerprint()}"
    return LoadedModel(version, config, tokenizer, GrammarCompiler(tokenizer), executor, max_len, choice)


def place(source: WeightSource, settings: Settings, *, positions: int) -> tuple[Executor, Choice]:
    """The executor on the device that `settings.device` names or this machine suggests, and why that one.

    A GPU that fails its check is left for the next best thing, loudly, and the CPU is the last; unless it was asked for
    by name. Raises InferenceError.
    """
    choice = device.choose(settings.device, device.look())
    if choice.device == "cpu":
        return make_executor(source, settings, positions=positions), choice
    from inference.executor.gpu import GpuFailedError, make_gpu_executor

    try:
        return make_gpu_executor(source, settings, choice, positions=positions)
    except GpuFailedError as error:
        if settings.device != "auto":
            raise
        logger.error("the GPU cannot be used, the CPU takes its place", extra={"reason": str(error)})
        if settings.precision in GPU_PRECISIONS:
            settings = replace(settings, precision="auto")
        return make_executor(source, settings, positions=positions), Choice("cpu", f"{choice.reason}; {error}")


def make_executor(source: WeightSource, settings: Settings, *, positions: int) -> Executor:
    """The executor that `settings.engine` names; `auto` takes the kernels and, where they cannot be had, torch."""
    if settings.precision in GPU_PRECISIONS and settings.engine != "interpreter":
        raise InferenceError(
            f"INFERENCE_PRECISION={settings.precision} is for GPUs; on a CPU, choose bfloat16 or float32."
        )
    if settings.engine == "interpreter":
        return _interpreter(source, settings, positions=positions)
    if settings.engine != "torch" and settings.precision != "float32":
        try:
            if _kernels_are_worth_it(source, settings):
                return FusedExecutor(
                    source,
                    slots=settings.slots,
                    positions=positions,
                    threads=settings.thread_count,
                    quantised=settings.precision == "quantised",
                )
        except (KernelsUnavailableError, UnsupportedModelError) as error:
            if settings.engine == "fused":
                raise
            logger.warning("kernels not used, torch takes their place", extra={"reason": str(error)})
    precision = _torch_precision(source, settings)
    return TorchExecutor(source, slots=settings.slots, positions=positions, precision=precision)


def _kernels_are_worth_it(source: WeightSource, settings: Settings) -> bool:
    """Measured, unless the settings name what only the kernels can do."""
    if settings.engine == "fused" or settings.precision == "quantised":
        return True
    precision = _torch_precision(source, settings)
    ratio = kernels_over_torch(source, threads=settings.thread_count, precision=precision)
    chosen = "fused" if ratio < TORCH_ADVANTAGE else "torch"
    logger.info("engine measured", extra={"kernels_over_torch": round(ratio, 3), "engine": chosen})
    return chosen == "fused"


def _torch_precision(source: WeightSource, settings: Settings) -> str:
    """The one that the settings name, or the faster one."""
    return settings.precision if settings.precision in PRECISIONS else faster_precision(source.config)


def _interpreter(source: WeightSource, settings: Settings, *, positions: int) -> Executor:
    from inference.executor.interpreter_executor import make_interpreter_executor

    precision = precision_for(settings.precision, "bfloat16")
    return make_interpreter_executor(
        source, slots=settings.slots, positions=positions, precision=precision, max_chunk=settings.chunk
    )


@torch.inference_mode()
def faster_precision(config: ModelConfig) -> str:
    """bfloat16 where this processor multiplies it faster than float32, measured on one product of the model's size."""
    weight = torch.randn(2 * config.intermediate_size, config.hidden_size)
    rows = torch.randn(PROBE_ROWS, config.hidden_size)

    def seconds(product: DenseLinear | PackedLinear) -> float:
        times = []
        for _ in range(PROBE_ROUNDS):
            began = time.perf_counter()
            product(rows)
            times.append(time.perf_counter() - began)
        return min(times)

    if not can_pack_bfloat16():
        return "float32"
    low = seconds(PackedLinear(weight, None))
    return "bfloat16" if low < seconds(DenseLinear(weight, None, torch.float32)) else "float32"
