"""How far readers agree beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import permutations

import numpy as np

Unit = Sequence[Hashable]
# Each of them, or how many there are of each kind.
Units = Sequence[Unit] | Counter[tuple[Hashable, ...]]


def krippendorff_alpha(units: Units) -> float | None:
    """Krippendorff's alpha for nominal values; each unit holds the values its readers gave, missing ones left out.

    1 is full agreement, 0 what chance gives; None when nothing can be compared or all values are the same.
    Source: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).
    """
    return _alpha(_kinds(units))


def _kinds(units: Units) -> Counter[tuple[Hashable, ...]]:
    return units if isinstance(units, Counter) else Counter(map(_alike, units))


def _alike(unit: Unit) -> tuple[Hashable, ...]:
    """The same for units with the same values."""
    return tuple(sorted(unit, key=repr))


def _alpha(units: Mapping[tuple[Hashable, ...], int]) -> float | None:
    """Alpha of so many units of each kind; kinds are few, however many units there are."""
    pairs: Counter[tuple[Hashable, Hashable]] = Counter()
    for unit, times in units.items():
        for one, other in permutations(unit, 2):
            pairs[one, other] += times / (len(unit) - 1)  # type: ignore[assignment]
    totals: Counter[Hashable] = Counter()
    for (one, _other), weight in pairs.items():
        totals[one] += weight
    count = sum(totals.values())
    expected = sum(totals[one] * totals[other] for one, other in permutations(totals, 2))
    if not expected:
        return None
    observed = sum(weight for (one, other), weight in pairs.items() if one != other)
    return 1 - (count - 1) * observed / expected


def alpha_interval(units: Units, *, rounds: int = 1000, seed: int = 0) -> tuple[float, float] | None:
    """The 95 % interval of alpha by resampling units with replacement; None when alpha is not defined."""
    kinds = _kinds(units)
    if _alpha(kinds) is None:
        return None
    # How many of each kind are drawn is all that a resample says.
    shares = np.array(list(kinds.values())) / kinds.total()
    draws = np.random.default_rng(seed).multinomial(kinds.total(), shares, size=rounds).tolist()
    drawn = (_alpha({kind: times for kind, times in zip(kinds, draw, strict=True) if times}) for draw in draws)
    alphas = sorted(alpha for alpha in drawn if alpha is not None)
    return alphas[int(0.025 * len(alphas))], alphas[int(0.975 * len(alphas))]


def cohen_kappa(one: Mapping[Hashable, Hashable], other: Mapping[Hashable, Hashable]) -> float | None:
    """Cohen's kappa of two readers (item -> value) over the items both have read; None when it is not defined.

    Source: J. Cohen, A coefficient of agreement for nominal scales (1960).
    """
    shared = one.keys() & other.keys()
    if not shared:
        return None
    observed = sum(one[item] == other[item] for item in shared) / len(shared)
    first, second = Counter(one[item] for item in shared), Counter(other[item] for item in shared)
    expected = sum(first[value] * second[value] for value in first) / len(shared) ** 2
    return None if expected == 1 else (observed - expected) / (1 - expected)
