"""The arithmetic of usage buckets, each change one statement that the database decides.

A bucket is never read, added up and written back: two requests at once would both see room. The condition stands in the
statement that writes, so that what does not fit is refused by the row lock itself. Whoever changes several buckets of
a person goes through `ORDER`, so that no two requests wait for each other.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from billing.models import UsageBucket

Kind = UsageBucket.Kind
ORDER = (Kind.CONCURRENCY, Kind.MESSAGES, Kind.TOKENS)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)

_RESERVE = """
INSERT INTO billing_usagebucket AS bucket (user_id, kind, window_number, used, reserved, opened_at, resets_at)
SELECT %(user)s, %(kind)s, 1, 0, %(amount)s, %(now)s, %(resets_at)s WHERE %(amount)s <= %(limit)s
ON CONFLICT (user_id, kind) DO UPDATE SET
  window_number = bucket.window_number + CASE WHEN bucket.resets_at <= %(now)s THEN 1 ELSE 0 END,
  used = CASE WHEN bucket.resets_at <= %(now)s THEN 0 ELSE bucket.used END,
  reserved = CASE WHEN bucket.resets_at <= %(now)s THEN 0 ELSE bucket.reserved END + %(amount)s,
  opened_at = CASE WHEN bucket.resets_at <= %(now)s THEN %(now)s ELSE bucket.opened_at END,
  resets_at = CASE WHEN bucket.resets_at <= %(now)s THEN %(resets_at)s ELSE bucket.resets_at END
WHERE CASE WHEN bucket.resets_at <= %(now)s THEN 0 ELSE bucket.used + bucket.reserved END + %(amount)s <= %(limit)s
RETURNING window_number, used, reserved, resets_at
"""

_CLOSE = """
UPDATE billing_usagebucket SET reserved = reserved - %(held)s, used = used + %(used)s
WHERE user_id = %(user)s AND kind = %(kind)s AND window_number = %(window)s
"""


@dataclass(frozen=True, slots=True)
class Level:
    """How full a bucket is in the window that is open."""

    window_number: int
    used: int
    reserved: int
    resets_at: datetime

    @property
    def taken(self) -> int:
        return self.used + self.reserved


def reserve(
    *, user_id: uuid.UUID, kind: Kind, amount: int, limit: int, now: datetime, resets_at: datetime
) -> Level | None:
    """Take `amount` if it fits below `limit`; None if it does not. Opens a window until `resets_at` if none is."""
    values: dict[str, Any] = {
        "user": user_id,
        "kind": kind,
        "amount": amount,
        "limit": limit,
        "now": now,
        "resets_at": resets_at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, values)
        row = cursor.fetchone()
    return Level(*row) if row else None


def close(*, user_id: uuid.UUID, kind: Kind, window_number: int, held: int, used: int) -> None:
    """Turn `held` into `used`, if the window it was taken in is still open; a window that closed took it along."""
    values: dict[str, Any] = {"user": user_id, "kind": kind, "window": window_number, "held": held, "used": used}
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE, values)


def level(*, user_id: uuid.UUID, kind: Kind, now: datetime) -> Level | None:
    """How full the bucket is; None when no window is open."""
    row = UsageBucket.objects.filter(user_id=user_id, kind=kind, resets_at__gt=now).first()
    return Level(row.window_number, row.used, row.reserved, row.resets_at) if row else None
