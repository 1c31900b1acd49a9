"""Find texts that say nearly the same: MinHash signatures (rensa, Rust), bands, and the true similarity of what meets.

The signatures lie in a file, and one band is sorted at a time, so memory grows by a few bytes a text.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from feedback.release.gates.shingles import shingles

RUN_WORDS = 3
PERMUTATIONS = 128
# 32 bands of four: two texts of similarity 0.66 meet in one with probability 0.9988.
BANDS = 32
BAND_ROWS = PERMUTATIONS // BANDS
SEED = 42
BAND_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# Signatures tell the similarity to within 0.17 (four standard deviations); what may pass is measured exactly.
MARGIN = 0.17
# Signatures leave Rust as Python's numbers: few enough at once that they stay in the processor's cache.
TEXTS_AT_ONCE = 100

Signatures = npt.NDArray[np.uint32]


def signatures(texts: Sequence[str]) -> Signatures:
    """One row of `PERMUTATIONS` minima a text."""
    hashes, offsets = shingles(texts, RUN_WORDS)
    table = np.zeros((len(texts), PERMUTATIONS), np.uint32)
    for first in range(0, len(texts), TEXTS_AT_ONCE):
        ends = offsets[first : first + TEXTS_AT_ONCE + 1]
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            hashes[ends[0] : ends[-1]], (ends - ends[0]).astype(np.uint64), PERMUTATIONS, SEED
        )
        table[first : first + TEXTS_AT_ONCE] = matrix.to_rows()
    return table


def clusters(
    batches: Iterable[Sequence[str]],
    *,
    similarity: float,
    texts_at: Callable[[Sequence[int]], Sequence[str]],
    beat: Callable[[], None] = lambda: None,
) -> npt.NDArray[np.int64]:
    """For each text, in order, the number of the first text it is nearly the same as (its own where there is none).

    `texts_at` gives texts again by their numbers; `beat` is called between batches and bands.
    """
    with tempfile.TemporaryFile() as file:
        count = 0
        for texts in batches:
            file.write(signatures(texts).tobytes())
            count += len(texts)
            beat()
        file.flush()
        if not count:
            return np.zeros(0, np.int64)
        table = np.memmap(file, np.uint32, "r", shape=(count, PERMUTATIONS))
        roots = np.arange(count)
        for pairs in _meetings(table, beat):
            likely = pairs[_estimates(table, pairs) >= similarity - MARGIN]
            for left, right in _alike(likely, roots, similarity, texts_at):
                _join(roots, left, right)
        return np.array([_root(roots, number) for number in range(count)], np.int64)


def _meetings(table: Signatures, beat: Callable[[], None]) -> Iterator[npt.NDArray[np.int64]]:
    """Pairs of texts with an equal band: each with the one before it, and with the first, of those that meet."""
    for band in range(BANDS):
        beat()
        keys = _band_keys(table[:, band * BAND_ROWS : (band + 1) * BAND_ROWS])
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        same = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        if not len(same):
            continue
        begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        firsts = order[begins[np.searchsorted(begins, same, side="right") - 1]]
        pairs = np.concatenate([np.stack([order[same - 1], order[same]], 1), np.stack([firsts, order[same]], 1)])
        yield np.unique(np.sort(pairs, axis=1), axis=0)


def _band_keys(part: Signatures) -> npt.NDArray[np.uint64]:
    """One number a text for its minima in a band; that two bands share a number by chance costs a comparison."""
    keys = np.zeros(len(part), np.uint64)
    for column in range(BAND_ROWS):
        keys = (keys ^ part[:, column]) * BAND_MULTIPLIER
    return keys


def _estimates(table: Signatures, pairs: npt.NDArray[np.int64], step: int = 20_000) -> npt.NDArray[np.float64]:
    parts = [
        (table[pairs[at : at + step, 0]] == table[pairs[at : at + step, 1]]).mean(axis=1)
        for at in range(0, len(pairs), step)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _alike(
    pairs: npt.NDArray[np.int64],
    roots: npt.NDArray[np.int64],
    similarity: float,
    texts_at: Callable[[Sequence[int]], Sequence[str]],
    step: int = 500,
) -> Iterator[tuple[int, int]]:
    """Those of the pairs whose words truly are that similar."""
    open_pairs = [(int(a), int(b)) for a, b in pairs if _root(roots, int(a)) != _root(roots, int(b))]
    for at in range(0, len(open_pairs), step):
        part = open_pairs[at : at + step]
        numbers = sorted({number for pair in part for number in pair})
        hashes, offsets = shingles(texts_at(numbers), RUN_WORDS)
        runs = {n: np.unique(hashes[offsets[i] : offsets[i + 1]]) for i, n in enumerate(numbers)}
        for left, right in part:
            common = len(np.intersect1d(runs[left], runs[right], assume_unique=True))
            if common and common >= similarity * (len(runs[left]) + len(runs[right]) - common):
                yield left, right


def _root(roots: npt.NDArray[np.int64], number: int) -> int:
    while roots[number] != number:
        roots[number] = roots[roots[number]]
        number = int(roots[number])
    return number


def _join(roots: npt.NDArray[np.int64], left: int, right: int) -> None:
    first, second = sorted((_root(roots, left), _root(roots, right)))
    roots[second] = first
