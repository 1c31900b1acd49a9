"""Answers lined up statement by statement, with marks where they contradict each other.

Two statements belong together when they are alike in words or meaning (`likeness`). What belongs together is compared
exactly (`contradictions`). It is a measure by rule and vector: it neither knows what is true, nor sees a contradiction
that is put in quite other words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from chat.consistency import facts, likeness
from chat.consistency.contradictions import Contradiction, contradictions
from chat.consistency.likeness import Vector, VectorsOf
from chat.consistency.statements import MOST, statements

# One answer agrees with another when this much of one of them finds its like in the other, and nothing contradicts it.
ENOUGH_SHARED = 0.5

Places = tuple[int, int]
"""Two answers, by their places."""


@dataclass
class Row:
    """One matter: what each answer states of it (None for nothing), and what is to be marked.

    `marks` has for each answer the places in its statement, as [start, end], that contradict another answer's; `kinds`
    says in which ways.
    """

    cells: list[str | None]
    kinds: list[str] = field(default_factory=list)
    marks: list[list[list[int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.marks = self.marks or [[] for _cell in self.cells]

    @property
    def said_by(self) -> list[int]:
        return [answer for answer, cell in enumerate(self.cells) if cell is not None]

    def mark(self, pair: Places, found: Contradiction) -> None:
        if found.kind not in self.kinds:
            self.kinds.append(found.kind)
        for answer, spans in zip(pair, (found.places, found.other_places), strict=True):
            known = {tuple(span) for span in self.marks[answer]}
            self.marks[answer] = [list(span) for span in sorted(known | set(spans))]


@dataclass(frozen=True)
class Pair:
    """What two answers share, 0 to 1, and whether they agree."""

    shared: float
    agrees: bool


@dataclass(frozen=True)
class Alignment:
    """The rows in the order of the answers, and what came of comparing each answer with each.

    `group` is the largest group of answers that agree with one another, by their places.
    """

    rows: list[Row]
    pairs: dict[Places, Pair]
    group: list[int]
    is_cut: bool
    used_meaning: bool

    @property
    def agreement(self) -> float | None:
        """The mean over all pairs of what they share, 0 to 1; None for a single answer."""
        return round(sum(pair.shared for pair in self.pairs.values()) / len(self.pairs), 4) if self.pairs else None

    @property
    def contradictions(self) -> int:
        return sum(bool(row.kinds) for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        rows = [{"cells": row.cells, "kinds": row.kinds, "marks": row.marks} for row in self.rows]
        return {"rows": rows, "group": self.group, "is_cut": self.is_cut}


def align(answers: Sequence[str], *, vectors_of: VectorsOf | None = None) -> Alignment:
    """Line the answers up. `vectors_of(texts)` gives vectors of length 1, or None when there are none to be had."""
    whole = [statements(answer) for answer in answers]
    parts = [part[:MOST] for part in whole]
    vectors = likeness.vectors([text for part in parts for text in part], vectors_of)
    rows = _rows(parts, vectors)
    _meet_stances(rows, parts)
    names = set[str]().union(*(facts.names(text) for part in parts for text in part))
    places = list(combinations(range(len(parts)), 2))
    clashing = {pair: _clashes(rows, pair, names) for pair in places}
    pairs = {pair: _pair(rows, parts, pair, clashing[pair]) for pair in places}
    is_cut = any(len(part) > MOST for part in whole)
    return Alignment(rows, pairs, _group(pairs, len(parts)), is_cut, bool(vectors))


def _rows(parts: list[list[str]], vectors: Mapping[str, Vector]) -> list[Row]:
    """Each answer's statements put into the rows there are, the likest first; the others get rows of their own."""
    rows: list[Row] = []
    for answer, part in enumerate(parts):
        taken = _taken(rows, part, vectors)
        before: Row | None = None
        for place, text in enumerate(part):
            row = taken.get(place)
            if row is None:
                row = Row([None] * len(parts))
                rows.insert(_place_after(rows, before), row)
            row.cells[answer] = text
            before = row
    return rows


def _taken(rows: list[Row], part: list[str], vectors: Mapping[str, Vector]) -> dict[int, Row]:
    """Which row each statement of an answer goes to, by its place; every row takes one."""
    candidates = [
        (max(likeness.likeness(text, cell, vectors) for cell in row.cells if cell is not None), -place, -index)
        for place, text in enumerate(part)
        for index, row in enumerate(rows)
    ]
    taken: dict[int, Row] = {}
    full: set[int] = set()
    for _like, place, index in sorted((one for one in candidates if one[0] >= 1), reverse=True):
        if -place not in taken and index not in full:
            taken[-place] = rows[-index]
            full.add(index)
    return taken


def _place_after(rows: list[Row], before: Row | None) -> int:
    return 0 if before is None else next(index for index, row in enumerate(rows) if row is before) + 1


def _meet_stances(rows: list[Row], parts: list[list[str]]) -> None:
    """Answers that begin with yes and with no speak of one matter there, however else they put it."""
    stances = [facts.stance(part[0]) if part else None for part in parts]
    if not {True, False} <= set(stances):
        return
    takers = [answer for answer, stance in enumerate(stances) if stance is not None]
    meeting = next(row for row in rows if row.cells[takers[0]] == parts[takers[0]][0])
    for answer in takers[1:]:
        if meeting.cells[answer] is None:
            former = next(row for row in rows if row.cells[answer] == parts[answer][0])
            meeting.cells[answer], former.cells[answer] = former.cells[answer], None
            if not former.said_by:
                rows.remove(former)


def _clashes(rows: list[Row], pair: Places, names: set[str]) -> set[int]:
    """The places of the rows in which two answers contradict each other, which are marked there."""
    found = set()
    for place, row in enumerate(rows):
        first, second = (row.cells[answer] for answer in pair)
        if first is None or second is None:
            continue
        for clash in contradictions(first, second, names=names):
            row.mark(pair, clash)
            found.add(place)
    return found


def _pair(rows: list[Row], parts: list[list[str]], pair: Places, clashing: set[int]) -> Pair:
    """What two answers share: of each the part that finds its like. A statement counts by its length."""
    common = [0, 0]
    for place, row in enumerate(rows):
        first, second = (row.cells[answer] for answer in pair)
        if first is not None and second is not None and place not in clashing:
            common[0] += likeness.weight(first)
            common[1] += likeness.weight(second)
    wholes = [sum(map(likeness.weight, parts[answer])) for answer in pair]
    shares = [share / whole if whole else 0.0 for share, whole in zip(common, wholes, strict=True)]
    return Pair(sum(shares) / 2, not clashing and max(shares) >= ENOUGH_SHARED)


def _group(pairs: dict[Places, Pair], count: int) -> list[int]:
    """The largest set of answers of which each agrees with each, the earliest of those as large."""
    for size in range(count, 1, -1):
        for members in combinations(range(count), size):
            if all(pairs[pair].agrees for pair in combinations(members, 2)):
                return list(members)
    return [0] if count else []
