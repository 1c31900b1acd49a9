"""Who is served next: weighted by plan, ageing so that nobody starves, and no user with more than a share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from inference.generation import Generation


@dataclass(frozen=True)
class AdmissionPolicy:
    """`ageing_seconds` of waiting weigh as much as one step of priority; `user_slots` is what one user may hold."""

    queue_limit: int = 512
    ageing_seconds: float = 5.0
    user_slots: int = 8


class AdmissionQueue:
    """Generations that wait for a slot."""

    def __init__(self, policy: AdmissionPolicy) -> None:
        self.policy = policy
        self._waiting: list[Generation] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Generation]:
        return iter(self._waiting)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self.policy.queue_limit

    def add(self, generation: Generation) -> None:
        self._waiting.append(generation)

    def remove(self, generation: Generation) -> None:
        self._waiting.remove(generation)

    def ordered(self, *, now: float, held: Mapping[str, int]) -> list[Generation]:
        """All that wait, the next to be served first. `held` counts the slots that each user holds.

        Every `ageing_seconds` of waiting lift a generation by one step of priority, so that even the lowest plan
        overtakes newcomers of the highest in the end. Among equals, who holds fewer slots goes first.
        """

        def rank(generation: Generation) -> tuple[float, int, float]:
            order = generation.order
            waited = (now - generation.arrived) / self.policy.ageing_seconds
            return (order.priority - waited, held.get(order.user, 0) if order.user else 0, generation.arrived)

        return sorted(self._waiting, key=rank)

    def next(
        self, *, now: float, held: Mapping[str, int], free_tokens: int, postponed: Container[int] = ()
    ) -> Generation | None:
        """The generation to serve next, or None. `postponed` holds the ids of those that choose to wait.

        A user at the limit is passed over. A lack of cache is not: whoever is first and does not fit holds the place,
        or long prompts would wait for ever.
        """
        for generation in self.ordered(now=now, held=held):
            if id(generation) in postponed:
                continue
            if generation.order.user and held.get(generation.order.user, 0) >= self.policy.user_slots:
                continue
            return generation if generation.reserved <= free_tokens else None
        return None


def slots_by_user(running: Iterator[Generation]) -> Counter[str]:
    """How many of the running generations belong to each user; the nameless are not counted."""
    return Counter(generation.order.user for generation in running if generation.order.user)
