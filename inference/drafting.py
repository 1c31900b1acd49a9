"""Guesses at how a reply goes on, from what stands in its prompt and in itself: replies often quote.

A guess is checked in the step that would have computed one token anyway, and kept only where it is what would have been
chosen: the reply is the same, sooner.
"""

from __future__ import annotations

from collections.abc import Sequence

PATTERN = 3
"""So many last tokens must have occurred before; fewer guess wrong too often to pay."""
FAILURES = 2
"""After so many failures in a row, no guess is made for a while."""
FIRST_REST, LONGEST_REST = 8, 256
"""Tokens for which no guess is made; each rest in a row is twice as long as the one before."""


class Drafter:
    """The guesses for one reply. They grow while they come true, up to `most`, and shrink to one when they fail.

    A guess that fails costs part of a step, so where text repeats itself without being a quotation, guessing stops:
    for a few tokens, and for ever longer ones while it goes on failing. One that comes true ends that.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._length = 1
        self._next_after: dict[tuple[int, ...], int] = {}
        self._known = PATTERN
        self._failures = 0
        self._rest = FIRST_REST
        self._wakes_at = 0

    def draft(self, tokens: Sequence[int], *, room: int) -> list[int]:
        """At most `room` tokens that followed when the last few of `tokens` occurred before; often none."""
        for end in range(self._known, len(tokens)):
            self._next_after[tuple(tokens[end - PATTERN : end])] = end
        self._known = max(self._known, len(tokens))
        if self._failures >= FAILURES:
            self._wakes_at = len(tokens) + self._rest
            self._rest = min(2 * self._rest, LONGEST_REST)
            self._failures = FAILURES - 1  # one more failure, and it rests again
        start = self._next_after.get(tuple(tokens[-PATTERN:]))
        if start is None or len(tokens) < max(PATTERN, self._wakes_at):
            return []
        return list(tokens[start : start + min(self._length, self._most, room)])

    def learn(self, *, drafted: int, accepted: int) -> None:
        """Fit the length of the next guess, and whether there is one, to how this one went."""
        self._length = min(self._most, accepted + 1) if accepted == drafted else 1
        self._failures = 0 if accepted else self._failures + 1
        if accepted:
            self._rest = FIRST_REST
