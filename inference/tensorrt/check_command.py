"""`python -m inference gpu-check`: puts every question to this machine's GPU and reports."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from math import prod
from typing import Any

import torch

from inference.errors import InferenceError
from inference.executor.base import Executor
from inference.executor.gpu import gpu_precision, make_reference
from inference.executor.torch_executor import TorchExecutor
from inference.fetch import CHAT_MODEL
from inference.tensorrt import device
from inference.tensorrt.gpu_check import FULL, LEAST_POSITIONS, SHORT, Result, Subject, examine, throughput
from inference.tensorrt.memory import bytes_read
from inference.tensorrt.precision import precision_for
from inference.tensorrt.slot_executor import SlotExecutor
from inference.weights import WeightSource, open_weights

COPY_BYTES = 1 << 30


def run(options: argparse.Namespace) -> int:
    """Check as asked and print; the exit status is 1 when an answer is wrong. Raises InferenceError."""
    if options.max_batch < 1 or options.max_len < LEAST_POSITIONS:
        raise InferenceError(
            f"--max-batch starts at 1, and --max-len at the {LEAST_POSITIONS} tokens that are asked for."
        )
    if options.report and not options.report.parent.is_dir():
        raise InferenceError(f"There is no folder {options.report.parent} to write the report to.")
    source = open_weights(options.model or CHAT_MODEL.path())
    candidate = make_candidate(source, options)
    positions = min(options.max_len, source.config.window)
    reference = make_reference(source, positions=positions)
    results = []
    for result in examine(Subject(candidate, reference), SHORT if options.short else FULL):
        _show(result)
        results.append(result)
    if options.way != "interpreter" and not options.short:
        results.append(_throughput(candidate, source))
        _show(results[-1])
    if options.report:
        options.report.write_text(json.dumps(_report(candidate, source, results), indent=1) + "\n")
    return 0 if all(result.is_good for result in results) else 1


def make_candidate(source: WeightSource, options: argparse.Namespace) -> Executor:
    """What is to be checked. Raises InferenceError when this machine has no such thing."""
    sizes: dict[str, Any] = {"slots": options.max_batch, "positions": min(options.max_len, source.config.window)}
    if options.way == "interpreter":
        from inference.executor.interpreter_executor import make_interpreter_executor

        precision = precision_for(options.precision, "bfloat16")
        return make_interpreter_executor(source, precision=precision, max_chunk=256, **sizes)
    device.choose(options.way, device.look())
    precision = gpu_precision(options.precision)
    if options.way == "cuda":
        return TorchExecutor(source, precision=precision, device=device.GPU, **sizes)
    from inference.executor.tensorrt_executor import make_tensorrt_executor

    return make_tensorrt_executor(source, precision=precision, max_chunk=256, **sizes)


def _throughput(candidate: Executor, source: WeightSource) -> Result:
    began = time.monotonic()
    is_good, detail = throughput(
        candidate, weight_bytes=weight_bytes(candidate, source), bytes_per_second=bytes_per_second()
    )
    return Result("throughput", is_good, detail, time.monotonic() - began)


def weight_bytes(candidate: Executor, source: WeightSource) -> int:
    """Bytes of weights that a decode step reads: a plan's as they are stored, torch's two a parameter."""
    if isinstance(candidate, SlotExecutor):
        return bytes_read(candidate.contract)
    return 2 * source.config.parameters


def bytes_per_second() -> float:
    """What the GPU reads and writes in a second, seen by copying a gibibyte. HAS NEVER RUN ON A GPU."""
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device=device.GPU)
    target = torch.empty_like(source)
    target.copy_(source)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(10):
        target.copy_(source)
    torch.cuda.synchronize()
    return 10 * 2 * COPY_BYTES / (time.perf_counter() - began)


def _report(candidate: Executor, source: WeightSource, results: list[Result]) -> dict[str, Any]:
    held = prod((candidate.slots, candidate.positions)) * source.config.kv_elements_per_token
    return {
        "machine": asdict(device.look()),
        "torch": torch.__version__,
        "model": source.fingerprint(),
        "precision": candidate.precision,
        "is_plan": isinstance(candidate, SlotExecutor),
        "cache_elements": held,
        "results": [asdict(result) for result in results],
    }


def _show(result: Result) -> None:
    mark = "good" if result.is_good else "WRONG"
    print(f"{mark:5}  {result.name}: {result.detail} ({result.seconds:.1f} s)", flush=True)  # noqa: T201
