"""`python -m inference bench`: parses, measures, prints."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from inference.bench.compare import Plan, compare, render
from inference.bench.limits import bfloat16_gigaflops, read_gigabytes_per_second
from inference.bench.null import host_milliseconds
from inference.bench.peers import PEERS
from inference.errors import InferenceError

QUICK = Plan(prompt_tokens=(30, 200), concurrencies=(1, 16), peers=("parley", "llama.cpp"), rounds=1, new_tokens=32)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `bench`."""
    command.add_argument("--quick", action="store_true", help="a few cases against llama.cpp alone, once")
    command.add_argument("--peers", type=_names, metavar="A,B", help=f"engines; default: {','.join(PEERS)}")
    command.add_argument("--concurrency", type=_numbers, metavar="N,M", help="replies at once; default: 1,4,16,32")
    command.add_argument("--prompts", type=_numbers, metavar="N,M", help="prompt tokens; default: 30,200,800")
    command.add_argument("--rounds", type=int, metavar="N", help="interleaved repetitions; default: 3")
    command.add_argument("--new-tokens", type=int, metavar="N", help="length of each reply; default: 64")
    command.add_argument("--model", type=Path, metavar="PATH", help="a GGUF file, or a folder with one")
    command.add_argument("--threads", type=int, metavar="N", help="processor cores for each engine; default: all")
    command.add_argument("--null", action="store_true", help="measure only the host's own time in a step")


def run(options: argparse.Namespace) -> int:
    """Measure as asked and print Markdown; the exit status. Raises InferenceError."""
    if options.null:
        for replies in options.concurrency or (1, 4, 16, 32):
            greedy, drawn = (host_milliseconds(replies, temperature=temperature) for temperature in (0.0, 0.8))
            print(f"{replies} replies: host time a step {greedy:.2f} ms greedy, {drawn:.2f} ms drawn")  # noqa: T201
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
    from inference.fetch import default_model_path

    found = path or default_model_path()
    files = [found] if found.is_file() else sorted(found.glob("*.gguf"))
    if len(files) != 1:
        raise InferenceError(f"{found} is not a GGUF file, nor a folder with one. Run `python -m inference fetch`.")
    return files[0].resolve()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(PEERS)}")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in text.split(","))
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("numbers start at 1")
    return numbers
