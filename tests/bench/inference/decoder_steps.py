"""The decoder alone, without server or scheduler: `python -m tests.bench.inference.decoder_steps` prints medians.

A step makes one token of each of so many replies at 40 tokens of context; a prompt is computed in chunks as in serving.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inference.fetch import CHAT_MODEL
from inference.kernels.decoder import FusedDecoder
from inference.kernels.native import Format
from inference.weights import open_weights

SLOTS, CONTEXT, CHUNK = 32, 40, 256
ROWS, STEP_ROUNDS = (1, 2, 4, 8, 16, 32), 30
PROMPTS, PROMPT_ROUNDS = (200, 800), 5
TOKENS = np.random.default_rng(0).integers(100, 40_000, max(PROMPTS)).astype(np.int32)


def same(number: int, count: int) -> NDArray[np.int32]:
    return np.full(count, number, np.int32)


def take_in(decoder: FusedDecoder, slot: int, count: int) -> None:
    """Compute a prompt of `count` tokens, with the logits of its last."""
    for start in range(0, count, CHUNK):
        end = min(count, start + CHUNK)
        positions = np.arange(start, end, dtype=np.int32)
        wanted = np.array([end - start - 1] if end == count else [], np.int32)
        decoder.forward(TOKENS[start:end], same(slot, end - start), positions, wanted)


def step(decoder: FusedDecoder, rows: int) -> None:
    """One more token of the first `rows` slots."""
    slots = np.arange(rows, dtype=np.int32)
    decoder.forward(TOKENS[:rows], slots, same(CONTEXT, rows), slots)


def median_milliseconds(work: Callable[[], None], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=["quantised", "bfloat16"], default="quantised")
    precision = parser.parse_args().precision
    decoder = FusedDecoder(
        open_weights(CHAT_MODEL.path()),
        slots=SLOTS,
        positions=max(PROMPTS) + CHUNK,
        threads=len(os.sched_getaffinity(0)),
        weight_format=None if precision == "quantised" else Format.BFLOAT16,
    )
    for slot in range(SLOTS):
        take_in(decoder, slot, CONTEXT)
    print(f"{precision}, {decoder.instruction_set}; medians in milliseconds")
    for rows in ROWS:
        print(
            f"a step of {rows:3} rows   {median_milliseconds(lambda rows=rows: step(decoder, rows), STEP_ROUNDS):8.1f}"
        )
    for count in PROMPTS:
        taken = median_milliseconds(lambda count=count: take_in(decoder, 0, count), PROMPT_ROUNDS)
        print(f"a prompt of {count:3} tokens {taken:8.1f}")


if __name__ == "__main__":
    main()
