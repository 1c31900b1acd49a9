"""The options of `bench`, apart from the measuring so that `--help` need not load torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from inference.bench.peers import PEERS


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
