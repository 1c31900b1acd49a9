"""What this machine can do at best: reading memory, and multiplying bfloat16 matrices."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

READ_BYTES = 512 << 20
MATRIX = 2048
ROUNDS = 5


def read_gigabytes_per_second(threads: int) -> float:
    """The best of several passes over half a gigabyte, in `threads` parts at once."""
    words = np.ones(READ_BYTES // 8, dtype=np.int64)
    parts = np.array_split(words, threads)
    with ThreadPoolExecutor(threads) as pool:
        return READ_BYTES / 1e9 / min(_seconds(lambda: list(pool.map(np.max, parts))) for _ in range(ROUNDS))


def bfloat16_gigaflops() -> float:
    """The best of several products of two square matrices, by oneDNN."""
    a, b = (torch.randn(MATRIX, MATRIX).bfloat16() for _ in range(2))
    with torch.inference_mode():
        return 2 * MATRIX**3 / 1e9 / min(_seconds(lambda: a @ b) for _ in range(ROUNDS))


def _seconds(work: object) -> float:
    assert callable(work)  # noqa: S101 - a lambda from this module
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
