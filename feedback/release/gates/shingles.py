"""Hashes of runs of words, many texts at once: what near-duplicates and contamination are found by.

A word is a run of letters and digits; a Chinese, Japanese or Korean character is a word of its own. Case and the forms
of one character (NFKC) make no difference. Hashes are 64-bit and the same on every machine.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

_BETWEEN, _LETTER, _ALONE = 0, 1, 2
_ALONE_RANGES = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF))
_WORD_BASE = 0x9E3779B97F4A7C15
_RUN_BASE = 0xD6E8FEB86659FD93
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(33)
# Texts are worked off in parts whose arrays stay in the processor's cache.
PART_CHARACTERS = 100_000


def shingles(texts: Sequence[str], size: int) -> tuple[Hashes, Offsets]:
    """The hash of every run of `size` words, text after text, and where each text's begin (one more than texts).

    A text of fewer words gives one run of all it has; one without words gives none. Runs may repeat.
    """
    words, owners = _words(texts)
    starts = np.searchsorted(owners, np.arange(len(texts) + 1)).astype(np.int64)
    counts = np.diff(starts)
    runs = _runs(words, size)
    is_whole = owners[: len(runs)] == owners[size - 1 : size - 1 + len(runs)] if len(runs) else np.zeros(0, bool)
    found, where = runs[is_whole], owners[: len(runs)][is_whole]
    short = np.flatnonzero((counts > 0) & (counts < size))
    if len(short):
        whole = np.array([_runs(words[starts[i] : starts[i + 1]], int(counts[i]))[0] for i in short], np.uint64)
        order = np.argsort(np.concatenate([where, short]), kind="stable")
        found = np.concatenate([found, whole])[order]
        where = np.concatenate([where, short])[order]
    return found, np.searchsorted(where, np.arange(len(texts) + 1)).astype(np.int64)


def _words(texts: Sequence[str]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """(hash of each word, number of the text it is in)."""
    plain = [
        text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold().replace("\0", "\n")
        for text in texts
    ]
    hashes, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    first = size = 0
    for number, text in enumerate(plain):
        size += len(text) + 1
        if size >= PART_CHARACTERS or number == len(plain) - 1:
            found, whose = _words_of_part(plain[first : number + 1])
            hashes.append(found)
            owners.append(whose + first)
            first, size = number + 1, 0
    return np.concatenate(hashes), np.concatenate(owners)


def _words_of_part(texts: Sequence[str]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    joined = "\n".join([*texts, ""])
    if joined.isascii():
        points = np.frombuffer(joined.encode(), np.uint8)
    else:
        points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = _kinds()[points]
    is_letter = kinds == _LETTER
    begins = kinds == _ALONE
    begins[0] |= is_letter[0]
    begins[1:] |= is_letter[1:] & ~is_letter[:-1]
    starts = np.flatnonzero(begins)
    # A polynomial over all characters, of which each word is a difference, shifted back to begin at the first power.
    total = np.zeros(len(points) + 1, np.uint64)
    np.cumsum(_values()[points] * _powers(_WORD_BASE, len(points)), out=total[1:])
    ends = np.append(starts[1:], len(points))
    words = (total[ends] - total[starts]) * _powers(pow(_WORD_BASE, -1, 2**64), len(points))[starts]
    closes = np.cumsum([len(text) + 1 for text in texts])
    return _mixed(words), np.searchsorted(closes, starts, side="right")


def _runs(words: Hashes, size: int) -> Hashes:
    count = len(words) - size + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    total = np.zeros(count, np.uint64)
    for place, power in enumerate(_powers(_RUN_BASE, size)):
        total += words[place : place + count] * power
    return _mixed(total)


def _mixed(values: Hashes) -> Hashes:
    mixed = (values ^ (values >> _HALF)) * _MIX
    return mixed ^ (mixed >> _HALF)


def _powers(base: int, count: int) -> Hashes:
    """The powers of `base` from 1 on, modulo 2**64."""
    if count > len(_kept_powers.get(base, ())):
        room = 1 << max(count - 1, PART_CHARACTERS).bit_length()
        _kept_powers[base] = np.cumprod(np.concatenate([[np.uint64(1)], np.full(room - 1, base, np.uint64)]))
    return _kept_powers[base][:count]


_kept_powers: dict[int, Hashes] = {}


@lru_cache(maxsize=1)
def _kinds() -> npt.NDArray[np.uint8]:
    """Of every code point whether it stands between words, in a word, or is one by itself."""
    kinds = np.fromiter((chr(point).isalnum() for point in range(0x110000)), np.uint8, 0x110000)
    for first, last in _ALONE_RANGES:
        kinds[first : last + 1] = _ALONE
    return kinds


@lru_cache(maxsize=1)
def _values() -> Hashes:
    """What every code point adds to its word; nothing for those between words."""
    points = np.arange(1, 0x110001, dtype=np.uint64)
    return np.where(_kinds() == _BETWEEN, np.uint64(0), _mixed(points))
