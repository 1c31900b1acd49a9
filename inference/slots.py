"""Which slot holds which tokens: finding a prefix that is already computed, and choosing what to forget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from inference.admission import Room
from inference.generation import Generation

SHORTEST_PREFIX = 8
"""Copying fewer tokens than this is not worth the trouble."""


@dataclass
class Slot:
    """One place in the cache: the keys and values of the first `length` of `tokens`.

    While a reply runs in it they are the reply's own, so that nobody has to keep two lists of them.
    """

    index: int
    tokens: list[int] = field(default_factory=list)
    owner: Generation | None = None
    last_used: float = 0.0

    @property
    def is_busy(self) -> bool:
        return self.owner is not None

    @property
    def length(self) -> int:
        owner = self.owner  # whoever counts from another thread may see it leave
        return owner.cached if owner else len(self.tokens)

    @property
    def reserved(self) -> int:
        return self.owner.reserved if self.owner else 0

    @property
    def footprint(self) -> int:
        """Cache tokens counted against the budget."""
        return self.reserved if self.is_busy else self.length

    def shared_with(self, prompt: Sequence[int]) -> int:
        """How many tokens at its beginning are those of `prompt`."""
        return min(common_prefix(self.tokens, prompt), self.length)


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
        matches = {slot.index: min(slot.shared_with(prompt), limit) for slot in self.slots if slot.length}
        own = max(idle, key=lambda slot: (matches.get(slot.index, 0), not slot.length, -slot.last_used))
        own_match = matches.get(own.index, 0)
        # A slot that is mostly this conversation is continued; of one that shares only a beginning, that is copied.
        if own_match >= SHORTEST_PREFIX and own_match >= own.length // 2:
            return Placement(own, own_match, None)
        best = max(self.slots, key=lambda slot: matches.get(slot.index, 0))
        length = matches.get(best.index, 0)
        target = min(idle, key=lambda slot: (bool(slot.length), slot.last_used))
        if length < SHORTEST_PREFIX:
            return Placement(target, 0, None)
        return Placement(target, length, None if target is best else best)

    def occupy(self, placement: Placement, generation: Generation, *, now: float) -> list[Slot]:
        """Give it the slot. Returns the warm slots that were forgotten to stay within the budget."""
        slot = placement.slot
        generation.slot, generation.prefilled = slot.index, placement.length
        slot.tokens, slot.owner = generation.tokens, generation
        slot.last_used = now
        return self._forget_down_to_budget(keep=placement.source)

    def _forget_down_to_budget(self, keep: Slot | None) -> list[Slot]:
        excess = sum(slot.footprint for slot in self.slots) - self.budget
        forgotten = []
        warm = [slot for slot in self.slots if not slot.is_busy and slot.length]
        for slot in sorted(warm, key=lambda slot: (slot is keep, slot.last_used)):
            if excess <= 0:
                break
            excess -= slot.length
            slot.tokens = []
            forgotten.append(slot)
        return forgotten

    def vacate(self, generation: Generation, *, now: float, is_usable: bool) -> None:
        """The generation is over; its tokens stay warm for the next turn, if they are usable."""
        assert generation.slot is not None  # noqa: S101 - it ran
        slot = self.slots[generation.slot]
        slot.tokens = generation.tokens[: slot.length] if is_usable else []
        slot.owner = generation.slot = None
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
