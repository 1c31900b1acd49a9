"""Guesses at how a reply goes on, from what stands in its prompt and in itself: replies often quote.

A guess is checked in the step that would have computed one token anyway, and kept only where it is what would have been
chosen: the reply is the same, sooner.
"""

from __future__ import annotations

from collections.abc import Sequence

PATTERN = 3
"""So many last tokens must have occurred before; fewer guess wrong too often to pay."""


class Drafter:
    """The guesses for one reply. They grow while they come true, up to `most`, and shrink to one when they fail."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._length = 1
        self._next_after: dict[tuple[int, ...], int] = {}
        self._known = PATTERN

    def draft(self, tokens: Sequence[int], *, room: int) -> list[int]:
        """At most `room` tokens that followed when the last few of `tokens` occurred before; often none."""
        for end in range(self._known, len(tokens)):
            self._next_after[tuple(tokens[end - PATTERN : end])] = end
        self._known = max(self._known, len(tokens))
        start = self._next_after.get(tuple(tokens[-PATTERN:]))
        if start is None or len(tokens) < PATTERN:
            return []
        return list(tokens[start : start + min(self._length, self._most, room)])

    def learn(self, *, drafted: int, accepted: int) -> None:
        """Fit the length of the next guess to how this one went."""
        self._length = min(self._most, accepted + 1) if accepted == drafted else 1
