"""Who is served next: plans take turns by weight, so that nobody starves, and no user holds more than a share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from inference.generation import Generation

WEIGHT = 4
"""A reply of one step worse priority begins once while this many of the better one do, when both wait."""
MOST_STEPS = 3
"""Steps of priority beyond this many make no difference to the turns."""
KEPT_STEPS = 2
"""... and beyond this many none to the room that is kept."""
KEPT_SHARE = 8
"""For each step of better priority, one part in this many of slots and cache is kept for those who have it."""


@dataclass(frozen=True)
class AdmissionPolicy:
    """`queue_limit` is how many may wait who are as good or better; `user_slots` is what one user may hold."""

    queue_limit: int = 512
    user_slots: int = 8


@dataclass(frozen=True)
class Room:
    """Slots and cache tokens: what is free, and how much there is."""

    free_slots: int
    free_tokens: int
    slots: int
    tokens: int

    def fits(self, generation: Generation) -> bool:
        return self.free_slots > 0 and generation.reserved <= self.free_tokens

    def fits_beside_what_is_kept(self, generation: Generation) -> bool:
        """Whether those with a better priority would still find room at once."""
        steps = min(max(generation.order.priority, 0), KEPT_STEPS)
        slots, tokens = steps * self.slots // KEPT_SHARE, steps * self.tokens // KEPT_SHARE
        return self.free_slots > slots and generation.reserved + tokens <= self.free_tokens


class AdmissionQueue:
    """Generations that wait for a slot.

    Those of one priority stand in one line; who holds fewer slots goes first in it, then who came first. The lines take
    turns, as packets do in weighted fair queueing: a turn moves its line's mark on by the line's weight, and the line
    whose mark would be least afterwards is next. A line that was empty begins at the present mark: it can neither save
    turns up nor owe them.
    """

    def __init__(self, policy: AdmissionPolicy) -> None:
        self.policy = policy
        self._waiting: list[Generation] = []
        self._marks: dict[int, int] = {}
        self._present = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Generation]:
        return iter(self._waiting)

    def count(self, *, priority: int) -> int:
        """How many wait who are as good or better. Safe from any thread."""
        return sum(generation.order.priority <= priority for generation in tuple(self._waiting))

    def add(self, generation: Generation) -> None:
        priority = generation.order.priority
        if not any(other.order.priority == priority for other in self._waiting):
            self._marks[priority] = max(self._marks.get(priority, 0), self._present)
        self._waiting.append(generation)

    def remove(self, generation: Generation) -> None:
        self._waiting.remove(generation)

    def has_begun(self, generation: Generation) -> None:
        """Its line has had a turn."""
        line = generation.order.priority
        self._present = max(self._present, self._marks[line])
        self._marks[line] += weight_of(line)
        for other in {waiting.order.priority for waiting in self._waiting}:  # who may not begin saves no turns up
            self._marks[other] = max(self._marks[other], self._present - weight_of(other))

    def ordered(self, *, held: Mapping[str, int]) -> list[Generation]:
        """All that wait, line after line, the best first. `held` counts the slots that each user holds."""

        def rank(generation: Generation) -> tuple[int, int, float]:
            order = generation.order
            return (order.priority, held.get(order.user, 0) if order.user else 0, generation.arrived)

        return sorted(self._waiting, key=rank)

    def next(self, *, running: Iterable[Generation], room: Room, postponed: Container[int] = ()) -> Generation | None:
        """The generation to serve next, or None. `postponed` holds the ids of those that choose to wait.

        A user at the limit is passed over. Who does not fit the cache is not: the turn is kept, or long prompts would
        wait for ever. Room that is kept for better priorities is used by a line only while it has nobody running.
        """
        if room.free_slots < 1:
            return None
        running = list(running)
        held = slots_by_user(running)
        firsts: dict[int, Generation] = {}
        for generation in self.ordered(held=held):
            user = generation.order.user
            if id(generation) in postponed or (user and held.get(user, 0) >= self.policy.user_slots):
                continue
            firsts.setdefault(generation.order.priority, generation)
        for line in sorted(firsts, key=lambda line: (self._marks[line] + weight_of(line), line)):
            first = firsts[line]
            if not room.fits(first):
                return None
            is_alone = not any(other.order.priority == line for other in running)
            if is_alone or room.fits_beside_what_is_kept(first):
                return first
        return None


def weight_of(priority: int) -> int:
    weight: int = WEIGHT ** min(max(priority, 0), MOST_STEPS)
    return weight


def slots_by_user(running: Iterable[Generation]) -> Counter[str]:
    """How many of the running generations belong to each user; the nameless are not counted."""
    return Counter(generation.order.user for generation in running if generation.order.user)
