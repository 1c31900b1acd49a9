"""What the queues of reviewers share: each thing is one reader's for a while, and nobody else's."""

from __future__ import annotations

from datetime import timedelta

from accounts.models import User

LEASE = timedelta(minutes=10)
# Others may have taken what one wanted between looking and locking; after so many tries somebody else has it all.
TRIES = 20


class NotGiven(LookupError):  # noqa: N818
    """The reviewer was never given it, if there is such a one: to them there is none."""


def one_at_a_time(reviewer: User) -> None:
    """What a reviewer asks for at once is answered in turn until the transaction ends: two pages that are opened
    together show the same, and nobody holds more than one.
    """
    User.objects.select_for_update(no_key=True).get(pk=reviewer.pk)
