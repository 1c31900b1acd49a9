"""Random numbers that are a function of where they are wanted: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, 2011).

There is no state, so nothing else that is drawn can disturb a stream. The arithmetic is written once for Python's
integers and for int64 arrays of numpy and torch, and gives the same bits in each, on a CPU and on a GPU.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
WORD = 0xFFFFFFFF
BLOCK = 64
BITS = 53

Integers = Any
"""An int, or an int64 array. Products overflow in an array; the upper word is what it is all the same."""


def philox(counter: tuple[Integers, ...], key: tuple[Integers, ...]) -> tuple[Integers, ...]:
    """Four words for four words of `counter` under two words of `key`."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        first, second = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1 = (second >> 32 & WORD) ^ c1 ^ k0, second & WORD
        c2, c3 = (first >> 32 & WORD) ^ c3 ^ k1, first & WORD
        k0, k1 = k0 + KEY_STEPS[0] & WORD, k1 + KEY_STEPS[1] & WORD
    return c0, c1, c2, c3


def random_bits(seed_low: Integers, seed_high: Integers, index: Integers) -> Integers:
    """53 bits: the `index`-th of the stream that the two words of the seed name."""
    zero = index * 0
    first, second, _, _ = philox((index & WORD, index >> 32, zero, zero), (seed_low + zero, seed_high + zero))
    return (first >> 5) * (1 << 26) + (second >> 6)


def seed_words(seed: int) -> tuple[int, int]:
    """The lower and the upper word of a seed's 64 bits."""
    return seed & WORD, seed >> 32 & WORD


def uniform(seed: int, index: int) -> float:
    """The `index`-th number in [0, 1) of the stream that `seed` names."""
    return _block(seed, index // BLOCK)[index % BLOCK]


@lru_cache(maxsize=4096)
def _block(seed: int, block: int) -> list[float]:
    """Numbers are worked out a block at a time: for one alone, Python would take longer than for all of them."""
    index = np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.int64)
    numbers: list[float] = (random_bits(*seed_words(seed), index) * 2.0**-BITS).tolist()
    return numbers
