"""How alike two statements are, in words and in meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from chat.consistency.words import CJK, COMMON, is_chinese

Vector = np.ndarray[Any, np.dtype[np.float32]]
VectorsOf = Callable[[Sequence[str]], Sequence[Sequence[float]] | None]

# At and above these two statements are taken to speak of one matter.
ALIKE_IN_MEANING = 0.68
ALIKE_IN_WORDS = 0.5
ALIKE_IN_CHARACTERS = 0.34

_WORD = re.compile(r"[a-z\d][a-z\d'’.,-]*[a-z\d]|[a-z\d]")


def likeness(one: str, other: str, vectors: Mapping[str, Vector]) -> float:
    """As a multiple of what is needed to speak of one matter: the likest by words or by meaning.

    The embedding model does not know Chinese; there pairs of characters count.
    """
    if is_chinese(one) or is_chinese(other):
        return dice(pairs_of_characters(one), pairs_of_characters(other)) / ALIKE_IN_CHARACTERS
    found = dice(words(one), words(other)) / ALIKE_IN_WORDS
    if one in vectors and other in vectors:
        found = max(found, float(vectors[one] @ vectors[other]) / ALIKE_IN_MEANING)
    return found


def vectors(texts: Sequence[str], vectors_of: VectorsOf | None) -> dict[str, Vector]:
    """The vectors of those texts that the embedding model knows; empty when there are none to be had."""
    known = list(dict.fromkeys(text for text in texts if not is_chinese(text)))
    found = vectors_of(known) if vectors_of and known else None
    return {text: np.array(row, np.float32) for text, row in zip(known, found, strict=True)} if found else {}


def weight(text: str) -> int:
    """How much is said: its words that mean something, or its Chinese characters."""
    return max(1, len(words(text)) + len(CJK.findall(text)))


@lru_cache(maxsize=2048)
def words(text: str) -> frozenset[str]:
    """Its words but for the commonest."""
    return frozenset(word for word in _WORD.findall(text.casefold()) if word not in COMMON)


@lru_cache(maxsize=2048)
def pairs_of_characters(text: str) -> frozenset[str]:
    bare = "".join(re.findall(r"\w", text.casefold()))
    return frozenset(bare[index : index + 2] for index in range(len(bare) - 1)) or frozenset({bare})


def dice(one: frozenset[str], other: frozenset[str]) -> float:
    """Dice's coefficient: 0 for nothing in common, 1 for the same."""
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0
