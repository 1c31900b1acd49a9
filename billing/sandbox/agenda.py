"""What is due when. It is worked out from the objects, once for all of them and then only for those that change."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(order=True, frozen=True)
class Turn:
    at: int
    object_id: str
    kind: str = field(compare=False)


class Agenda:
    """Turns by the clock that they go by: a test clock's id, or "" for the account's own time.

    It may hold turns that are out of date or said twice; whoever takes one looks whether it still holds.
    """

    def __init__(self) -> None:
        self._turns: dict[str, list[Turn]] = {}

    def clear(self) -> None:
        self._turns.clear()

    def add(self, clock: str, turns: Iterable[Turn]) -> None:
        waiting = self._turns.setdefault(clock, [])
        for turn in turns:
            heapq.heappush(waiting, turn)

    def take(self, clock: str, *, until: int) -> Turn | None:
        """The first turn of this clock that is due by then."""
        waiting = self._turns.get(clock)
        return heapq.heappop(waiting) if waiting and waiting[0].at <= until else None
