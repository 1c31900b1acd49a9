"""How much a reply repeats itself, and where it has begun to go round in circles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

WORDS = 4
# A loop is a tail that is one unit over and over: so many times, over so many characters at least.
TIMES = 6
CHARACTERS = 240
LONGEST_UNIT = 300
_LOOKED_AT = LONGEST_UNIT * TIMES
# A loop's last letters came before, one unit earlier: where they did not, nothing need be compared.
_MARK = 32


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
    if len(text) < CHARACTERS:
        return None
    tail = text[-_LOOKED_AT:]
    for unit in _candidates(tail):
        length = max(TIMES * unit, CHARACTERS)
        if len(tail) < length or not any(character.isalnum() for character in tail[-unit:]):
            continue  # rules and the like are long rows of one sign, and meant
        if tail[-length:-unit] == tail[unit - length :]:
            return _first_round(text, unit)
    return None


def _candidates(tail: str) -> Iterator[int]:
    """How far back the last letters stand again, nearest first, up to the longest unit."""
    last = len(tail) - _MARK
    mark, at = tail[-_MARK:], last
    while (at := tail.rfind(mark, max(0, last - LONGEST_UNIT), at + _MARK - 1)) >= 0:
        yield last - at


def _first_round(text: str, unit: int) -> int:
    """The end of the first round of a loop of `unit` characters that the text ends with."""
    position = len(text) - unit
    while position > 0 and text[position - 1] == text[position - 1 + unit]:
        position -= 1
    return position + unit
