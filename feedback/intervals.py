"""How sure a share is."""

from __future__ import annotations

from math import sqrt

Z_95 = 1.959963984540054


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share of `hits` in `total`, each bound in [0, 1]; (0, 1) when nothing was counted.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927), equation 1.
    """
    if total == 0:
        return 0.0, 1.0
    share, spread = hits / total, Z_95**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
