"""What one person asks for at the same moment, from two pages or by two programs, done one after the other."""

from __future__ import annotations

from django.db import connection

from accounts.models import User


def one_at_a_time(user: User, *, what: str) -> None:
    """Wait for the person's turn at `what`, and keep it until the transaction ends: what is read then is the newest.

    Nobody else is kept waiting, nor the same person at something else.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [what, str(user.pk)])
