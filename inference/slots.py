"""Which slot holds which tokens: finding a prefix that is already computed, and choosing what to forget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from inference.admission import Room

SHORTEST_PREFIX = 8
"""Copying fewer tokens than this is not worth the trouble."""


@dataclass
class Slot:
    """One place in the cache. `tokens` are those whose keys and values are in it."""

    index: int
    tokens: list[int] = field(default_factory=list)
    is_busy: bool = False
    reserved: int = 0
    last_used: float = 0.0

    @property
    def footprint(self) -> int:
        """Cache tokens counted against the budget."""
        return self.reserved if self.is_busy else len(self.tokens)


@dataclass(frozen=True)
class Placement:
    """The slot for a prompt, and where its first `length` tokens come from (None: they are in place)."""

    slot: Slot
    length: int
    source: Slot | None


class SlotTable:
    """All slots. `budget` is the number of tokens that may be in use, warm ones included."""

    def __init__(self, *, slots: int, budget: int) -> None:
        self.slots = [Slot(index) for index in range(slots)]
        self.budget = budget

    @property
    def busy(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.is_busy]

    @property
    def room(self) -> Room:
        """What could be taken if every warm slot were forgotten."""
        busy = self.busy
        free = self.budget - sum(slot.reserved for slot in busy)
        return Room(len(self.slots) - len(busy), free, slots=len(self.slots), tokens=self.budget)

    def place(self, prompt: Sequence[int]) -> Placement:
        """The best slot for `prompt`; the caller makes sure that one is free. At least one token is left to compute."""
        idle = [slot for slot in self.slots if not slot.is_busy]
        limit = len(prompt) - 1
        matches = {slot.index: min(common_prefix(slot.tokens, prompt), limit) for slot in self.slots if slot.tokens}
        own = max(idle, key=lambda slot: (matches.get(slot.index, 0), not slot.tokens, -slot.last_used))
        own_match = matches.get(own.index, 0)
        # A slot that is mostly this conversation is continued; of one that shares only a beginning, that is copied.
        if own_match >= SHORTEST_PREFIX and own_match >= len(own.tokens) // 2:
            return Placement(own, own_match, None)
        best = max(self.slots, key=lambda slot: matches.get(slot.index, 0))
        length = matches.get(best.index, 0)
        target = min(idle, key=lambda slot: (bool(slot.tokens), slot.last_used))
        if length < SHORTEST_PREFIX:
            return Placement(target, 0, None)
        return Placement(target, length, None if target is best else best)

    def occupy(self, placement: Placement, *, prompt: Sequence[int], reserved: int, now: float) -> list[Slot]:
        """Take the slot. Returns the warm slots that were forgotten to stay within the budget."""
        slot = placement.slot
        slot.tokens = list(prompt[: placement.length])
        slot.is_busy = True
        slot.reserved = reserved
        slot.last_used = now
        return self._forget_down_to_budget(keep=placement.source)

    def _forget_down_to_budget(self, keep: Slot | None) -> list[Slot]:
        excess = sum(slot.footprint for slot in self.slots) - self.budget
        forgotten = []
        warm = [slot for slot in self.slots if not slot.is_busy and slot.tokens]
        for slot in sorted(warm, key=lambda slot: (slot is keep, slot.last_used)):
            if excess <= 0:
                break
            excess -= len(slot.tokens)
            slot.tokens = []
            forgotten.append(slot)
        return forgotten

    def vacate(self, slot: Slot, *, now: float) -> None:
        """The generation is over; its tokens stay warm for the next turn."""
        slot.is_busy = False
        slot.reserved = 0
        slot.last_used = now


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """How many leading elements are equal; comparing halves lets the list type do the work."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
