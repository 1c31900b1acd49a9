"""What the queues of reviewers share: each thing is one reader's for a while, and nobody else's."""

from __future__ import annotations

from datetime import timedelta

LEASE = timedelta(minutes=10)
# Others may have taken what one wanted between looking and locking; after so many tries somebody else has it all.
TRIES = 20


class NotGiven(LookupError):  # noqa: N818
    """The reviewer was never given it, if there is such a one: to them there is none."""
