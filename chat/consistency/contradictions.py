"""In which ways two statements about one matter exclude each other: figures, names, negation, yes and no."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from difflib import SequenceMatcher

from chat.consistency import facts
from chat.consistency.facts import Span
from chat.consistency.likeness import dice, pairs_of_characters, words
from chat.consistency.words import COMMON, is_chinese

FIGURES, NAMES, NEGATION, STANCE = KINDS = ("figures", "names", "negation", "stance")
# So much of the other words must be the same for a name, or a denial, to stand against another.
ALIKE_BUT_FOR_IT = 0.6

_TOKEN = re.compile(r"[A-Za-z]+(?:['’][a-z]+)?|\d[\d.,]*|[\u3400-\u9fff]|[^\s\w]")


@dataclass(frozen=True)
class Contradiction:
    """One of `KINDS`, with the places in the one statement and in the other."""

    kind: str
    places: list[Span]
    other_places: list[Span]


def contradictions(one: str, other: str, *, names: Set[str] = frozenset()) -> list[Contradiction]:
    """All there are. `names` are those known from the whole answers, which tell a name at the beginning from a word."""
    if one == other:
        return []
    found = [Contradiction(FIGURES, *_figures(one, other)), Contradiction(NAMES, *_names(one, other, names))]
    if {facts.stance(one), facts.stance(other)} == {True, False}:
        found.append(Contradiction(STANCE, [_first_word(one)], [_first_word(other)]))
    elif facts.negations(one) % 2 != facts.negations(other) % 2 and _are_alike_undenied(one, other):
        return [*_found(found), Contradiction(NEGATION, _denials(one), _denials(other))]
    return _found(found)


def _found(candidates: list[Contradiction]) -> list[Contradiction]:
    return [one for one in candidates if one.places and one.other_places]


def _figures(one: str, other: str) -> tuple[list[Span], list[Span]]:
    """Figures where the other gives another instead. One figure more is no contradiction."""
    mine, theirs = facts.figures(one), facts.figures(other)
    clashing = [
        (here.span, there.span)
        for here in mine
        for there in theirs
        if here.is_held_against(there)
        and not any(here.is_same_as(figure) for figure in theirs)
        and not any(there.is_same_as(figure) for figure in mine)
    ]
    return _once(here for here, _there in clashing), _once(there for _here, there in clashing)


def _once(spans: object) -> list[Span]:
    return list(dict.fromkeys(spans))  # type: ignore[call-overload]


def _names(one: str, other: str, known: Set[str]) -> tuple[list[Span], list[Span]]:
    """Names where the other has others instead, with all else about the same."""
    names = set(known) | facts.names(one) | facts.names(other) | _first_names(one, other)
    mine, theirs = _places(names, one), _places(names, other)
    only_mine, only_theirs = mine.keys() - theirs.keys(), theirs.keys() - mine.keys()
    if not (only_mine and only_theirs):
        return [], []
    rest, other_rest = _without(one, mine.keys()), _without(other, theirs.keys())
    if not (rest == other_rest or dice(rest, other_rest) >= ALIKE_BUT_FOR_IT):
        return _in_each_others_place(one, other, only_mine, only_theirs)
    return sorted(mine[name] for name in only_mine), sorted(theirs[name] for name in only_theirs)


def _places(names: Set[str], text: str) -> dict[str, Span]:
    return {match[0]: match.span() for match in reversed(list(_TOKEN.finditer(text))) if match[0] in names}


def _without(text: str, names: Set[str]) -> frozenset[str]:
    return words(text) - {name.casefold() for name in names}


def _first_names(one: str, other: str) -> set[str]:
    """The first words of two statements that go on alike: `Paris is …` and `Lyon is …` begin with names."""
    first, second = one.split(), other.split()
    if len(first) > 2 and first[1:3] == second[1:3] and first[0][:1].isupper() and second[0][:1].isupper():
        return {word for word in (first[0], second[0]) if word.lower() not in COMMON}
    return set()


def _in_each_others_place(one: str, other: str, mine: Set[str], theirs: Set[str]) -> tuple[list[Span], list[Span]]:
    first, second = list(_TOKEN.finditer(one)), list(_TOKEN.finditer(other))
    here, there = ([match[0].casefold() for match in matches] for matches in (first, second))
    places: tuple[list[Span], list[Span]] = ([], [])
    for tag, start, end, since, till in SequenceMatcher(None, here, there, autojunk=False).get_opcodes():
        if tag == "replace" and _are(first[start:end], mine) and _are(second[since:till], theirs):
            places[0].append((first[start].start(), first[end - 1].end()))
            places[1].append((second[since].start(), second[till - 1].end()))
    return places


def _are(matches: list[re.Match[str]], names: Set[str]) -> bool:
    said = [match[0] for match in matches if match[0].lower() not in COMMON]
    return bool(said) and all(word in names for word in said)


def _are_alike_undenied(one: str, other: str) -> bool:
    bare = [facts.NEGATION.sub(" ", text) for text in (one, other)]
    parts = pairs_of_characters if is_chinese(one) else words
    return dice(parts(bare[0]), parts(bare[1])) >= ALIKE_BUT_FOR_IT


def _denials(text: str) -> list[Span]:
    return [match.span() for match in facts.NEGATION.finditer(text)]


def _first_word(text: str) -> Span:
    match = re.search(r"[A-Za-z]+|[\u3400-\u9fff]{1,2}", text)
    return match.span() if match else (0, 0)
