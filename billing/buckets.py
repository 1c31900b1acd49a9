"""The arithmetic of usage buckets, each change one statement that the database decides.

A bucket is never read, added up and written back: two requests at once would both see room. The condition stands in the
statement that writes, so that what does not fit is refused by the row lock itself. Whoever changes several buckets of
a person goes through `ORDER`, so that no two requests wait for each other.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from accounts import prepared
from billing.models import Reservation, UsageBucket

Kind = UsageBucket.Kind
ORDER = (Kind.CONCURRENCY, Kind.MESSAGES, Kind.TOKENS)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)

# One bucket: taken only when it fits, a window that ran out opened anew. {before} orders the buckets.
_TAKE_ONE = """
{kind} AS (
  INSERT INTO billing_usagebucket AS bucket (user_id, kind, window_number, used, reserved, opened_at, resets_at)
  SELECT %(user)s, '{kind}', 1, 0, %({kind}_amount)s, %(now)s, %({kind}_resets_at)s
  WHERE %({kind}_amount)s <= %({kind}_limit)s {before}
  ON CONFLICT (user_id, kind) DO UPDATE SET
    window_number = bucket.window_number + CASE WHEN bucket.resets_at <= %(now)s THEN 1 ELSE 0 END,
    used = CASE WHEN bucket.resets_at <= %(now)s THEN 0 ELSE bucket.used END,
    reserved = CASE WHEN bucket.resets_at <= %(now)s THEN 0 ELSE bucket.reserved END + %({kind}_amount)s,
    opened_at = CASE WHEN bucket.resets_at <= %(now)s THEN %(now)s ELSE bucket.opened_at END,
    resets_at = CASE WHEN bucket.resets_at <= %(now)s THEN %({kind}_resets_at)s ELSE bucket.resets_at END
  WHERE CASE WHEN bucket.resets_at <= %(now)s THEN 0 ELSE bucket.used + bucket.reserved END + %({kind}_amount)s
    <= %({kind}_limit)s
  RETURNING window_number, used, reserved, resets_at
)"""

# What was taken from one bucket in vain, because another had no room.
_UNDO = """
UPDATE billing_usagebucket SET reserved = reserved - %(held)s
WHERE user_id = %(user)s AND kind = %(kind)s AND window_number = %(window)s
"""

# What somebody has used at least, in the window that it was used in. Their own counts where it is more.
_BEGIN_WITH = """
INSERT INTO billing_usagebucket AS bucket (user_id, kind, window_number, used, reserved, opened_at, resets_at)
VALUES (%(user)s, %(kind)s, 1, %(used)s, 0, %(now)s, %(resets_at)s)
ON CONFLICT (user_id, kind) DO UPDATE SET
  window_number = bucket.window_number + CASE WHEN bucket.resets_at <= %(now)s THEN 1 ELSE 0 END,
  used = CASE WHEN bucket.resets_at <= %(now)s THEN excluded.used ELSE GREATEST(bucket.used, excluded.used) END,
  reserved = CASE WHEN bucket.resets_at <= %(now)s THEN 0 ELSE bucket.reserved END,
  opened_at = CASE WHEN bucket.resets_at <= %(now)s THEN %(now)s ELSE bucket.opened_at END,
  resets_at = CASE WHEN bucket.resets_at <= %(now)s OR excluded.used > bucket.used
    THEN excluded.resets_at ELSE bucket.resets_at END
"""

# The end of a reservation, once, and of what it held in the windows it was taken in; a window that closed took it
# along. An expired reservation holds nothing any more, but may still count. The limits are those it was granted under.
_END = """
WITH found AS (
  SELECT request_id, state FROM billing_reservation
  WHERE request_id = %(request)s AND state = ANY(%(states)s::text[])
    AND (%(lapsed_at)s::timestamptz IS NULL OR lease_until < %(lapsed_at)s)
  FOR UPDATE
), ended AS (
  UPDATE billing_reservation AS reservation SET state = %(state)s, closed_at = %(now)s,
    prompt_tokens = %(prompt_tokens)s, completion_tokens = %(completion_tokens)s
  FROM found WHERE reservation.request_id = found.request_id
  RETURNING reservation.user_id, reservation.plan_key, reservation.messages_window, reservation.tokens_window,
    CASE found.state WHEN 'held' THEN 1 ELSE 0 END AS held, reservation.reserved_tokens, reservation.spender_id,
    reservation.created_at
), locked AS (
  SELECT bucket.id,
    CASE bucket.kind WHEN 'tokens' THEN ended.held * ended.reserved_tokens ELSE ended.held END AS held,
    CASE bucket.kind WHEN 'tokens' THEN %(tokens)s WHEN 'messages' THEN %(messages)s ELSE 0 END AS used
  FROM billing_usagebucket AS bucket JOIN ended ON bucket.user_id = ended.user_id AND bucket.window_number =
    CASE bucket.kind WHEN 'messages' THEN ended.messages_window WHEN 'tokens' THEN ended.tokens_window ELSE 1 END
  ORDER BY array_position(%(order)s::text[], bucket.kind::text) FOR UPDATE OF bucket
), changed AS (
  UPDATE billing_usagebucket AS bucket SET reserved = bucket.reserved - locked.held, used = bucket.used + locked.used
  FROM locked WHERE bucket.id = locked.id
  RETURNING bucket.kind, bucket.used + bucket.reserved AS taken, bucket.resets_at
)
SELECT ended.user_id, EXISTS (
  SELECT FROM changed JOIN billing_plan AS plan ON plan.key = ended.plan_key
  WHERE changed.resets_at > %(now)s AND changed.taken >=
    CASE changed.kind WHEN 'tokens' THEN plan.tokens_per_month WHEN 'messages' THEN plan.messages_per_window END * 4 / 5
), ended.spender_id, ended.held * ended.reserved_tokens, ended.created_at FROM ended
"""

# The reservation, only when every bucket was taken from, and only once for a request.
_KEEP = """
reservation AS (
  INSERT INTO billing_reservation (request_id, user_id, spender_id, plan_key, state, reserved_tokens,
    max_output_tokens, messages_window, tokens_window, prompt_tokens, completion_tokens, created_at, lease_until)
  SELECT %(request)s, %(user)s, %(spender)s::uuid, %(plan)s, 'held', %(tokens_amount)s, %(max_output_tokens)s,
    messages.window_number, tokens.window_number, 0, 0, %(now)s, %(lease_until)s FROM messages, tokens
  ON CONFLICT DO NOTHING RETURNING request_id
)"""


def _reserve() -> str:
    """All in one statement, each bucket only after the one before it, so that everybody locks them in one order."""
    befores = ["", *(f"AND EXISTS (SELECT FROM {kind})" for kind in ORDER[:-1])]
    takes = [_TAKE_ONE.format(kind=kind.value, before=before) for kind, before in zip(ORDER, befores, strict=True)]
    rows = [f"SELECT '{kind}', {kind}.* FROM {kind}" for kind in ORDER]  # noqa: S608 - of our own constants
    rows.append("SELECT 'reservation', 0, 0, 0, %(now)s FROM reservation")
    return f"WITH {','.join([*takes, _KEEP])} {' UNION ALL '.join(rows)}"


_RESERVE = _reserve()


@dataclass(frozen=True, slots=True)
class Wish:
    """What to take from one bucket: `amount`, if it fits below `limit`, in a window that lasts until `resets_at`."""

    amount: int
    limit: int
    resets_at: datetime


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


@dataclass(frozen=True, slots=True)
class Taking:
    """The buckets that had room, as they stand with what was taken, and whether the reservation was stored.

    It is not stored when a bucket had no room, which is then missing from `levels`, or when its request has one.
    """

    levels: dict[Kind, Level]
    is_stored: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """Whose reservation ended, and whether four fifths of a limit of the plan it was granted under are used.

    `spender_id` is the key whose cap it was taken from too, `held_tokens` what it held until now.
    """

    user_id: uuid.UUID
    is_near: bool
    spender_id: uuid.UUID | None
    held_tokens: int
    created_at: datetime


def reserve(reservation: Reservation, *, wishes: Mapping[Kind, Wish], now: datetime) -> Taking:
    """Take what `wishes` says from every bucket and store the reservation, or change nothing. In a transaction."""
    values: dict[str, Any] = {
        "request": reservation.request_id,
        "user": reservation.user_id,
        "spender": reservation.spender_id,
        "plan": reservation.plan_key,
        "max_output_tokens": reservation.max_output_tokens,
        "lease_until": reservation.lease_until,
        "now": now,
    }
    for kind, wish in wishes.items():
        values |= {f"{kind}_amount": wish.amount, f"{kind}_limit": wish.limit, f"{kind}_resets_at": wish.resets_at}
    rows = {name: level for name, *level in prepared.fetch(_RESERVE, values)}
    is_stored = rows.pop("reservation", None) is not None
    levels = {Kind(name): Level(*level) for name, level in rows.items()}
    if not is_stored:
        for kind in levels:
            _undo(
                user_id=reservation.user_id,
                kind=kind,
                window_number=levels[kind].window_number,
                held=wishes[kind].amount,
            )
    return Taking(levels, is_stored)


def end(
    *,
    request_id: uuid.UUID,
    of: Collection[Reservation.State],
    to: Reservation.State,
    now: datetime,
    lapsed_at: datetime | None = None,
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
) -> Ended | None:
    """Bring the reservation from one of the states `of` to `to`; None when it is in none of them.

    What it held is given back, and a settled one counts as one message and the tokens given. With `lapsed_at` only
    when its lease ran out before. One statement, so that two who end it at once do it once.
    """
    is_counted = to == Reservation.State.SETTLED
    values: dict[str, Any] = {
        "request": request_id,
        "states": [state.value for state in of],
        "state": to.value,
        "now": now,
        "lapsed_at": lapsed_at,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "messages": int(is_counted),
        "tokens": prompt_tokens + completion_tokens if is_counted else 0,
        "order": [kind.value for kind in ORDER],
    }
    rows = prepared.fetch(_END, values)
    return Ended(*rows[0]) if rows else None


def begin_with(*, user_id: uuid.UUID, kind: Kind, used: int, resets_at: datetime, now: datetime) -> None:
    """Have the person begin where somebody else has come to in a window that lasts until `resets_at`."""
    values: dict[str, Any] = {"user": user_id, "kind": kind.value, "used": used, "resets_at": resets_at, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN_WITH, values)


def _undo(*, user_id: uuid.UUID, kind: Kind, window_number: int, held: int) -> None:
    values: dict[str, Any] = {"user": user_id, "kind": kind, "window": window_number, "held": held}
    with connection.cursor() as cursor:
        cursor.execute(_UNDO, values)


def level(*, user_id: uuid.UUID, kind: Kind, now: datetime) -> Level | None:
    """How full the bucket is; None when no window is open."""
    return levels(user_id=user_id, now=now).get(kind)


def levels(*, user_id: uuid.UUID, now: datetime) -> dict[Kind, Level]:
    """How full each bucket is whose window is open."""
    rows = UsageBucket.objects.filter(user_id=user_id, resets_at__gt=now)
    return {Kind(row.kind): Level(row.window_number, row.used, row.reserved, row.resets_at) for row in rows}
