"""Turns: what is wished about one subscription, or one customer's payment pages, is asked of Stripe one after another.

Stripe may do late what it was asked early, so that of two wishes under way at once the older could come true last. A
row says whose turn it is; no lock and no transaction is held while we wait for Stripe. Of those who wait, the last to
come is next, and the others give up: theirs was not the newest wish. A turn is renewed before each request to Stripe,
so that one of many slow requests stays one; the turn of a process that died lapses. The clock is the database's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import connection

from billing import stripe

# Longer than a request takes: one that times out three times ends the wish.
LASTS = timedelta(seconds=120)
# What a person's request waits for its turn; then it is told to try again.
PATIENCE_SECONDS = 5.0
# Two wishes at once are rare: looking costs less than a connection of its own to be notified on.
LOOK_EVERY_SECONDS = 0.05


class NotYourTurn(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """Somebody else is still asking about the same, or wished something newer."""


_ARRIVE = """
INSERT INTO billing_turn AS turn (subject, holder, newest, lapses_at)
VALUES (%(subject)s, %(me)s, %(me)s, clock_timestamp() + %(lasts)s)
ON CONFLICT (subject) DO UPDATE SET newest = %(me)s,
  holder = CASE WHEN turn.lapses_at <= clock_timestamp() THEN %(me)s ELSE turn.holder END,
  lapses_at = CASE WHEN turn.lapses_at <= clock_timestamp() THEN clock_timestamp() + %(lasts)s ELSE turn.lapses_at END
RETURNING holder = %(me)s
"""
_TAKE = """
UPDATE billing_turn SET holder = %(me)s, lapses_at = clock_timestamp() + %(lasts)s
WHERE subject = %(subject)s AND newest = %(me)s AND lapses_at <= clock_timestamp()
RETURNING true
"""
_TAKE_IF_FREE = """
INSERT INTO billing_turn AS turn (subject, holder, newest, lapses_at)
VALUES (%(subject)s, %(me)s, %(me)s, clock_timestamp() + %(lasts)s)
ON CONFLICT (subject) DO UPDATE SET holder = %(me)s, lapses_at = clock_timestamp() + %(lasts)s
WHERE turn.lapses_at <= clock_timestamp()
RETURNING true
"""
_RENEW = """
UPDATE billing_turn SET lapses_at = clock_timestamp() + %(lasts)s WHERE subject = %(subject)s AND holder = %(me)s
RETURNING true
"""
_IS_NEWEST = "SELECT true FROM billing_turn WHERE subject = %(subject)s AND newest = %(me)s"
# Whoever waits must still find that theirs is the newest wish.
_LEAVE = "DELETE FROM billing_turn WHERE subject = %(subject)s AND holder = %(me)s AND newest = %(me)s"
_LET_NEXT = "UPDATE billing_turn SET lapses_at = clock_timestamp() WHERE subject = %(subject)s AND holder = %(me)s"
# Whoever still waits for one that has lapsed takes it long before that.
_FORGET = "DELETE FROM billing_turn WHERE lapses_at <= clock_timestamp() - %(lasts)s"


@contextmanager
def newest(subject: str) -> Iterator[None]:
    """The turn of a new wish. Raises `NotYourTurn` after some seconds, or at once when a newer one comes meanwhile; and
    before a request to Stripe if the turn has lapsed and is another's."""
    me = {"subject": subject, "me": uuid.uuid4(), "lasts": LASTS}
    patience_ends = time.monotonic() + PATIENCE_SECONDS
    has_turn = _says(_ARRIVE, me)
    while not has_turn:
        if time.monotonic() > patience_ends or not _says(_IS_NEWEST, me):
            raise NotYourTurn(subject)
        time.sleep(LOOK_EVERY_SECONDS)
        has_turn = _says(_TAKE, me)
    with _held(me):
        yield


@contextmanager
def if_free(subject: str) -> Iterator[bool]:
    """A turn for what is tried again, which is nobody's newest wish: whether there is one, without waiting. Raises
    `NotYourTurn` as `newest` does before a request."""
    me = {"subject": subject, "me": uuid.uuid4(), "lasts": LASTS}
    has_turn = _says(_TAKE_IF_FREE, me)
    if not has_turn:
        yield False
        return
    with _held(me):
        yield True


@contextmanager
def _held(me: dict[str, Any]) -> Iterator[None]:
    def renew() -> None:
        if not _says(_RENEW, me):
            raise NotYourTurn(me["subject"])

    try:
        with stripe.before_each_request(renew):
            yield
    finally:
        _end(me)


def forget_lapsed() -> int:
    """Delete what is left of turns that lapsed long ago; returns how many."""
    values: dict[str, Any] = {"lasts": LASTS}
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, values)
        return int(cursor.rowcount)


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
