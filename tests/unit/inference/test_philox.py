"""The generator is Philox 4x32-10 to the bit, wherever it runs, and a number depends on its seed and place alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.philox import philox, random_bits, seed_words, uniform

# kat_vectors of the Random123 distribution, lines `philox4x32 10`: counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
MAKERS: dict[str, Any] = {
    "int": int,
    "numpy": lambda value: np.array([value], dtype=np.int64),
    "torch": lambda value: torch.tensor([value], dtype=torch.int64),
}
seeds = st.integers(0, 2**64 - 1)
indices = st.integers(0, 2**40)


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_the_published_answers_come_out(counter: str, key: str, expected: str, kind: str) -> None:
    make = MAKERS[kind]
    result = philox(tuple(map(make, words(counter))), tuple(map(make, words(key))))
    assert [int(word.item()) if kind != "int" else word for word in result] == words(expected)


@given(st.lists(st.tuples(seeds, indices), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_bits_are_the_same_alone_and_in_any_company_and_order(pairs: list[tuple[int, int]], random: Any) -> None:
    alone = {pair: random_bits(*seed_words(pair[0]), pair[1]) for pair in pairs}
    random.shuffle(pairs)
    low, high = (torch.tensor([seed_words(seed)[word] for seed, _ in pairs]) for word in (0, 1))
    index = torch.tensor([index for _, index in pairs])
    together = random_bits(low, high, index).tolist()
    assert together == random_bits(low.numpy(), high.numpy(), index.numpy()).tolist()
    assert together == [alone[pair] for pair in pairs]
    assert all(0 <= bits < 2**53 for bits in together)


@given(seeds, indices)
def test_a_number_is_its_bits_as_a_fraction(seed: int, index: int) -> None:
    assert uniform(seed, index) == random_bits(*seed_words(seed), index) / 2**53
    assert uniform(seed, index) != uniform(seed ^ 1, index)
    assert uniform(seed, index) != uniform(seed ^ 1 << 63, index)
    assert uniform(seed, index) != uniform(seed, index + 1)


@pytest.mark.parametrize("across", ["one seed", "many seeds"])
def test_numbers_are_even(across: str) -> None:
    """Neighbouring places of one stream, and the same place of neighbouring streams, as `n` replies have."""
    count = 20_000
    pairs = [(42, place) if across == "one seed" else (place, 7) for place in range(count)]
    numbers = np.array([random_bits(*seed_words(seed), place) / 2**53 for seed, place in pairs])
    distance = np.abs(np.sort(numbers) - (np.arange(count) + 0.5) / count).max()  # Kolmogorov and Smirnov's
    assert distance < 1.95 / np.sqrt(count)  # one good stream in 1,000 is farther off
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 4 / np.sqrt(count)
