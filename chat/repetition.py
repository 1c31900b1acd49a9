"""How much a reply repeats itself, and where it has begun to go round in circles."""

from __future__ import annotations

from collections import Counter

WORDS = 4
# A loop is a tail that is one unit over and over: so many times, over so many characters at least.
TIMES = 6
CHARACTERS = 240
LONGEST_UNIT = 300
_LOOKED_AT = LONGEST_UNIT * TIMES


def rate(text: str) -> float:
    """The share of runs of four words (characters, where words are not spaced) that came before; 0 to 1."""
    words = text.split()
    if len(words) < len(text) / 20:  # Chinese and its like
        words = [character for character in text if not character.isspace()]
    runs = Counter(zip(*(words[start:] for start in range(WORDS)), strict=False))
    total = sum(runs.values())
    return round(1 - len(runs) / total, 3) if total else 0.0


def loop_start(text: str) -> int | None:
    """Where to cut a text that has run into a loop, after the first round of it; None when it has not."""
    tail = text[-_LOOKED_AT:]
    for unit in range(1, min(LONGEST_UNIT, len(tail) // TIMES) + 1):
        length = max(TIMES * unit, CHARACTERS)
        if len(tail) < length or not any(character.isalnum() for character in tail[-unit:]):
            continue  # rules and the like are long rows of one sign, and meant
        if tail[-length:-unit] == tail[unit - length :]:
            return _first_round(text, unit)
    return None


def _first_round(text: str, unit: int) -> int:
    """The end of the first round of a loop of `unit` characters that the text ends with."""
    position = len(text) - unit
    while position > 0 and text[position - 1] == text[position - 1 + unit]:
        position -= 1
    return position + unit
