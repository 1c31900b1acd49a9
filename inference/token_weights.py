"""How much a token weighs in a draw: a whole number, read from tables by how far its logit is below the best.

Whole numbers add up to the same sum in any order, and tables hold the same bits everywhere. So what is drawn does not
depend on the processor, on the batch, or on how a sum was split among threads: a CPU and a GPU that see the same logits
draw the same token.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
Distances = NDArray[np.int64]
Weights = NDArray[np.float64]

UNIT = 2.0**35
"""The best token's weight. Float64 adds whole numbers exactly up to 2^53: 262,144 tokens as heavy as the best one."""
OCTAVES = 36
"""Beyond so many halvings a weight rounds to nothing."""
FARTHEST = OCTAVES * math.log(2.0) + 1e-3
"""The same in units of the temperature, and a little: a token this far below the best is never drawn."""
FINE_BITS, COARSE_BITS = 18, 10
SHIFT = FINE_BITS - COARSE_BITS
"""Distances are counted in 2^-18 octaves, as finely as float32 tells them apart; tables go by 2^-10 and the rest."""
LAST = (OCTAVES << FINE_BITS) - 1


def _halvings(count: int, bits: int) -> NDArray[np.float64]:
    """2^(-i / 2^bits) for i below `count`. By products of square roots, which IEEE 754 rounds the same everywhere: the
    last bit of a power is each processor's own."""
    found = np.ones(count)
    steps, root = np.arange(count), 0.5
    found *= np.ldexp(1.0, -(steps >> bits))
    for bit in reversed(range(bits)):
        root = math.sqrt(root)
        found[(steps >> bit & 1) == 1] *= root
    return found


COARSE = UNIT * _halvings(OCTAVES << COARSE_BITS, COARSE_BITS)
COARSE[-1] = 0.0
FINE = _halvings(1 << SHIFT, FINE_BITS)
ROUGH_BITS = 6
ROUGH = np.rint(UNIT * _halvings(OCTAVES << (ROUGH_BITS + 1), ROUGH_BITS + 1)[1::2][::-1])
ROUGH[0] = 0.0
"""Weights good to one part in 200, no more often too large than too small, by one look-up in a table that stays in a
processor's cache: for the many tokens that only count as part of the whole. The best is the last."""
BLOCK = 8192
"""Tokens are gone through so many at a time, which stay in a processor's cache meanwhile."""


def distance_scale(temperature: float) -> np.float32:
    """What turns a difference of logits into a distance."""
    return np.float32(-(1 << FINE_BITS) / (math.log(2.0) * temperature))


def distances(logits: Logits, best: np.float32, temperature: float) -> Distances:
    """How far below `best` the logits are, at most LAST."""
    scaled = logits - best
    scaled *= distance_scale(temperature)
    np.minimum(scaled, np.float32(LAST), out=scaled)
    return scaled.astype(np.int64)


def weights(distance: Distances) -> Weights:
    """The weight at each distance."""
    found = COARSE.take(distance >> SHIFT)
    found *= FINE.take(distance & ((1 << SHIFT) - 1))
    return np.rint(found, out=found)


def rough_line(best: np.float32, temperature: float) -> tuple[np.float32, np.float32]:
    """What to multiply a logit by, and to add, for its place in ROUGH."""
    slope = np.float32((1 << ROUGH_BITS) / (math.log(2.0) * temperature))
    return slope, np.float32(len(ROUGH) - 1) - best * slope


def rough_sum(logits: Logits, best: np.float32, temperature: float) -> float:
    """The sum of the rough weights of all of the logits."""
    slope, offset = rough_line(best, temperature)
    scaled, found = np.empty(BLOCK, np.float32), np.empty(BLOCK)
    places = np.empty(BLOCK, np.int64)
    total = 0.0
    with np.errstate(invalid="ignore"):  # what is infinitely far is found at the near end, where the weight is 0
        for start in range(0, len(logits), BLOCK):
            part = logits[start : start + BLOCK]
            count = len(part)
            np.multiply(part, slope, out=scaled[:count])
            scaled[:count] += offset
            places[:count] = scaled[:count]
            np.take(ROUGH, places[:count], out=found[:count], mode="clip")
            total += float(found[:count].sum())
    return total
