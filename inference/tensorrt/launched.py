"""What a launched step draws, and how it is read once it is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple

from inference.executor.base import Drawn
from inference.slot_sampler import UNUSABLE, Choices, Needs
from inference.tensorrt.transfer import Arrival


class Spoilt:
    """The slots in which no token could be chosen, since whoever has them began.

    Of a step that was launched ahead, tokens are read when a slot may have its next owner: what was drawn for the last
    one says nothing of it. So each launch is dated by how many had begun.
    """

    def __init__(self, slots: int) -> None:
        self.begins = 0
        self._begun = [0] * slots
        self._slots: set[int] = set()

    def begin(self, slot: int) -> None:
        self.begins += 1
        self._begun[slot] = self.begins

    def note(self, slot: int, *, launched: int) -> None:
        if self._begun[slot] <= launched:
            self._slots.add(slot)

    def take(self, slot: int) -> bool:
        """Whether it was spoilt; it is no more."""
        found = slot in self._slots
        self._slots.discard(slot)
        return found


class Drawing(NamedTuple):
    """What one launch draws: the choices of `rows`, which are first those of the segments `indices`, then those fed."""

    first_slot: int
    indices: Sequence[int]
    rows: Sequence[int]
    slots: Sequence[int]
    """Of each row."""
    needs: Needs
    counts: Sequence[int | None] | None
    """How many alternatives each row's report holds, or None for no report. Without any reports there are no counts."""

    def read(self, choices: Choices, note: Callable[[int], None]) -> list[Drawn | None]:
        """A token for each row. `note` is called with each slot in which none could be chosen."""
        tokens = choices.tokens.tolist()
        drawn: list[Drawn | None] = list(zip(map(tokens.__getitem__, self.rows), repeat(None)))
        if self.counts is not None:
            reports = map(choices.report, self.rows, self.counts)
            drawn = [(tokens[row], report) for row, report in zip(self.rows, reports, strict=True)]
        if UNUSABLE in tokens:
            for row in self.rows:
                if tokens[row] == UNUSABLE:
                    note(self.first_slot + row)
            drawn = [None if one is None or one[0] == UNUSABLE else one for one in drawn]
        return drawn


@dataclass(frozen=True)
class LaunchedStep:
    """A step's choices on their way. The tensors of each launch arrive in the order of `drawings`."""

    arrival: Arrival
    drawings: Sequence[Drawing]
    spoilt: Spoilt
    launched: int
    """How many had begun in slots by then."""

    def read(self) -> list[Drawn | None]:
        note = partial(self.spoilt.note, launched=self.launched)
        tensors = iter(self.arrival.wait())
        of_segments: list[tuple[int, Drawn | None]] = []
        of_fed: list[Drawn | None] = []
        for drawing in self.drawings:
            reports = () if drawing.counts is None else (next(tensors), next(tensors))
            drawn = drawing.read(Choices(next(tensors), *reports), note)
            of_segments += zip(drawing.indices, drawn, strict=False)
            of_fed += drawn[len(drawing.indices) :]
        of_segments.sort(key=itemgetter(0))
        return [drawn for _, drawn in of_segments] + of_fed
