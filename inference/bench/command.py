"""`python -m inference bench`: parses, measures, prints."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from inference.bench.compare import Plan, compare, render
from inference.bench.limits import bfloat16_gigaflops, read_gigabytes_per_second
from inference.bench.null import binding_milliseconds, host_milliseconds, plan_milliseconds
from inference.errors import InferenceError
from inference.kernels import build
from inference.kernels.drawing import NativeDraw
from inference.kernels.native import open_library
from inference.sampling import Draw

QUICK = Plan(prompt_tokens=(30, 200), concurrencies=(1, 16), peers=("parley", "llama.cpp"), rounds=1, new_tokens=32)


def library_draw() -> Draw | None:
    """What the kernels draw with, where they can be built."""
    try:
        return NativeDraw(open_library(build.compiled()))
    except build.KernelsUnavailableError:
        return None


def run(options: argparse.Namespace) -> int:
    """Measure as asked and print Markdown; the exit status. Raises InferenceError."""
    if options.null:
        for replies in options.concurrency or (1, 4, 16, 32):
            greedy = host_milliseconds(replies, temperature=0.0)
            drawn = host_milliseconds(replies, temperature=0.8, drawing=library_draw())
            in_numpy = host_milliseconds(replies, temperature=0.8)
            times = f"{greedy:.2f} ms greedy, {drawn:.2f} ms drawn, {in_numpy:.2f} ms drawn in numpy"
            print(f"{replies} replies: host time a step {times}")  # noqa: T201
        for rows in options.concurrency or (64, 256):
            numbers, whole = binding_milliseconds(rows), plan_milliseconds(rows)
            changing = plan_milliseconds(rows, turnover=1)
            times = f"{numbers:.3f} ms, all in all {whole:.3f} ms, where a reply ends and one begins {changing:.3f} ms"
            print(f"{rows} rows: host time a step of a TensorRT plan {times}")  # noqa: T201
        return 0
    threads = options.threads or len(os.sched_getaffinity(0))
    model = _model_file(options.model)
    base = QUICK if options.quick else Plan()
    plan = Plan(
        prompt_tokens=options.prompts or base.prompt_tokens,
        concurrencies=options.concurrency or base.concurrencies,
        peers=options.peers or base.peers,
        rounds=options.rounds or base.rounds,
        new_tokens=options.new_tokens or base.new_tokens,
    )
    reading, multiplying = read_gigabytes_per_second(threads), bfloat16_gigaflops()
    print(f"Limits: {reading:.1f} GB/s reading, {multiplying:.0f} GFLOP/s in bfloat16.\n", flush=True)  # noqa: T201
    print(render(compare(plan, model, threads=threads)))  # noqa: T201
    return 0


def _model_file(path: Path | None) -> Path:
    from inference.fetch import CHAT_MODEL

    found = path or CHAT_MODEL.path()
    files = [found] if found.is_file() else sorted(found.glob("*.gguf"))
    if len(files) != 1:
        raise InferenceError(f"{found} is not a GGUF file, nor a folder with one. Run `python -m inference fetch`.")
    return files[0].resolve()
