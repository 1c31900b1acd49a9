"""Turns: what is wished about one subscription, or one customer's payment pages, is asked of Stripe one after another.

Stripe may do late what it was asked early, so that of two wishes under way at once the older could come true last. A
row says whose turn it is; no lock and no transaction is held while we wait for Stripe. Of those who wait, the last to
come is next, and the others give up: theirs was not the newest wish. The turn of a process that died lapses. The clock
is the database's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import connection

# Longer than a wish takes: the first of its requests that times out, after three tries, ends it.
LASTS = timedelta(seconds=120)
# What a person's request waits for its turn; then it is told to try again.
PATIENCE_SECONDS = 5.0
# Two wishes at once are rare: looking costs less than a connection of its own to be notified on.
LOOK_EVERY_SECONDS = 0.05


class NotYourTurn(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """Somebody else is still asking about the same, or wished something newer."""


_LAPSES = f"clock_timestamp() + interval '{LASTS.seconds} seconds'"
_ARRIVE = f"""
INSERT INTO billing_turn AS turn (subject, holder, newest, lapses_at)
VALUES (%(subject)s, %(me)s, %(me)s, {_LAPSES})
ON CONFLICT (subject) DO UPDATE SET newest = %(me)s,
  holder = CASE WHEN turn.lapses_at <= clock_timestamp() THEN %(me)s ELSE turn.holder END,
  lapses_at = CASE WHEN turn.lapses_at <= clock_timestamp() THEN {_LAPSES} ELSE turn.lapses_at END
RETURNING holder = %(me)s
"""  # noqa: S608 - of a constant
_TAKE = f"""
UPDATE billing_turn SET holder = %(me)s, lapses_at = {_LAPSES}
WHERE subject = %(subject)s AND newest = %(me)s AND lapses_at <= clock_timestamp()
RETURNING true
"""  # noqa: S608 - of a constant
_TAKE_IF_FREE = f"""
INSERT INTO billing_turn AS turn (subject, holder, newest, lapses_at)
VALUES (%(subject)s, %(me)s, %(me)s, {_LAPSES})
ON CONFLICT (subject) DO UPDATE SET holder = %(me)s, lapses_at = {_LAPSES} WHERE turn.lapses_at <= clock_timestamp()
RETURNING true
"""  # noqa: S608 - of a constant
_IS_NEWEST = "SELECT true FROM billing_turn WHERE subject = %(subject)s AND newest = %(me)s"
# Whoever waits must still find that theirs is the newest wish.
_LEAVE = "DELETE FROM billing_turn WHERE subject = %(subject)s AND holder = %(me)s AND newest = %(me)s"
_LET_NEXT = "UPDATE billing_turn SET lapses_at = clock_timestamp() WHERE subject = %(subject)s AND holder = %(me)s"


@contextmanager
def newest(subject: str) -> Iterator[None]:
    """The turn of a new wish. Raises `NotYourTurn` after some seconds, or at once when a newer one comes meanwhile."""
    me = {"subject": subject, "me": uuid.uuid4()}
    patience_ends = time.monotonic() + PATIENCE_SECONDS
    has_turn = _says(_ARRIVE, me)
    while not has_turn:
        if time.monotonic() > patience_ends or not _says(_IS_NEWEST, me):
            raise NotYourTurn(subject)
        time.sleep(LOOK_EVERY_SECONDS)
        has_turn = _says(_TAKE, me)
    try:
        yield
    finally:
        _end(me)


@contextmanager
def if_free(subject: str) -> Iterator[bool]:
    """A turn for what is tried again, which is nobody's newest wish: whether there is one, without waiting."""
    me = {"subject": subject, "me": uuid.uuid4()}
    has_turn = _says(_TAKE_IF_FREE, me)
    try:
        yield has_turn
    finally:
        if has_turn:
            _end(me)


def _says(sql: str, values: dict[str, Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        row = cursor.fetchone()
    return bool(row and row[0])


def _end(me: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LEAVE, me)
        if not cursor.rowcount:
            cursor.execute(_LET_NEXT, me)
