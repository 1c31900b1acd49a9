"""Take from the limits before a reply is written, count what it used afterwards, give back what it did not.

`reserve` -> `extend` while it runs -> `settle` or `release`. Each happens once for a request id, however often it is
called. A reservation whose lease ran out is given back by `expire_abandoned`; a reply that ends after all is still
counted, once.
"""

from __future__ import annotations

import calendar
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction

from accounts import api_keys
from accounts.models import ApiKey, User
from billing import buckets, nearing
from billing.buckets import NEVER, Kind, Level, Taking, Wish
from billing.entitlements import Entitlement, entitlement_of
from billing.models import Reservation

State = Reservation.State
FIRST_LEASE = timedelta(minutes=30)  # a free reply may wait that long for its turn
RUNNING_LEASE = timedelta(minutes=2)
SMALLEST_REPLY_TOKENS = 16


class QuotaExceeded(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """A limit is reached. Tells which (`code`), how much there was, and when it comes back.

    `window` is how long the limit is for, where that is always the same.
    """

    def __init__(
        self,
        code: str,
        *,
        limit: int,
        used: int,
        resets_at: datetime,
        plan_key: str,
        window: timedelta | None = None,
    ) -> None:
        super().__init__(f"{code}: {used} of {limit} used until {resets_at:%Y-%m-%d %H:%M} UTC")
        self.code = code
        self.limit = limit
        self.used = used
        self.remaining = max(0, limit - used)
        self.resets_at = resets_at
        self.plan_key = plan_key
        self.window = window


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to write one reply of at most `max_output_tokens`, which may be fewer than were asked for."""

    request_id: uuid.UUID
    max_output_tokens: int
    remaining_messages: int
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a person has left: messages in the session window, tokens in the month. `resets_at` is None while unused."""

    plan_key: str
    plan_name: str
    limit: int
    used: int
    remaining: int
    resets_at: datetime | None
    window: timedelta
    token_limit: int
    tokens_used: int
    tokens_remaining: int
    tokens_reset_at: datetime | None

    @property
    def low_mark(self) -> int:
        """Four fifths of the messages: from here on people are warned."""
        return self.limit * 4 // 5

    @property
    def token_low_mark(self) -> int:
        return self.token_limit * 4 // 5

    @property
    def is_low(self) -> bool:
        return self.used >= self.low_mark or self.tokens_used >= self.token_low_mark

    @property
    def is_short_of_tokens(self) -> bool:
        """Whether the month's tokens end before the window's messages do."""
        is_low = self.tokens_used >= self.token_low_mark and self.remaining > 0
        return is_low or self.tokens_remaining < SMALLEST_REPLY_TOKENS

    @property
    def is_spent(self) -> bool:
        return self.remaining == 0 or self.tokens_remaining < SMALLEST_REPLY_TOKENS


def reserve(
    *,
    user: User,
    request_id: uuid.UUID,
    prompt_tokens: int,
    max_output_tokens: int,
    now: datetime,
    entitlement: Entitlement | None = None,
    with_smaller_model: bool = False,
    api_key: ApiKey | None = None,
) -> Grant:
    """Leave to write the reply `request_id`; the same id gives the same leave.

    Tokens for the longest reply are taken, shortened to what is left of the month rather than refused; from the cap of
    `api_key` too, which a program came with. Runs in the caller's transaction. Who has the entitlement of `now` already
    passes it. The smaller model may go on where a window's messages are used up, for as many as the plan says. Raises
    `QuotaExceeded` with nothing taken, and `api_keys.CapReached`, which undoes the transaction.
    """
    entitlement = entitlement or entitlement_of(user, now=now)
    if with_smaller_model:
        more = entitlement.messages_per_window + entitlement.smaller_model_messages
        entitlement = replace(entitlement, messages_per_window=more)
    longest = min(max_output_tokens, entitlement.max_output_tokens)
    if api_key:
        longest = _within_cap(api_key, prompt_tokens, longest, now)
    reservation = Reservation(
        request_id=request_id,
        user=user,
        spender_id=api_key.spender_id if api_key else None,
        plan_key=entitlement.plan_key,
        reserved_tokens=prompt_tokens + longest,
        max_output_tokens=longest,
        created_at=now,
        lease_until=now + FIRST_LEASE,
    )
    with transaction.atomic(savepoint=False):
        taking = _take(reservation, entitlement, prompt_tokens, now)
        if taking.is_stored and api_key:
            _take_from_cap(api_key, reservation, now)
    if taking.is_stored:
        return _grant(reservation, taking.levels[Kind.MESSAGES], entitlement)
    if known := Reservation.objects.filter(request_id=request_id, user=user).first():
        return _granted_before(known, user, now)
    missing = next(kind for kind in buckets.ORDER if kind not in taking.levels)
    raise _exceeded(missing, user.pk, entitlement, now)


def settle(*, request_id: uuid.UUID, prompt_tokens: int, completion_tokens: int, now: datetime) -> None:
    """Count what the reply really used: one message and the model's own token counts. Once."""
    with transaction.atomic():
        ended = buckets.end(
            request_id=request_id,
            of=(State.HELD, State.EXPIRED),
            to=State.SETTLED,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            now=now,
        )
        _correct_cap(ended, used=prompt_tokens + completion_tokens)
        if ended and ended.is_near:
            _tell_of_limit(User.objects.get(pk=ended.user_id), now)


def release(*, request_id: uuid.UUID, now: datetime) -> None:
    """Give all of it back: nothing was delivered. Once; a settled reservation stays settled."""
    with transaction.atomic():
        _correct_cap(buckets.end(request_id=request_id, of=(State.HELD,), to=State.RELEASED, now=now), used=0)


def extend(*, request_id: uuid.UUID, now: datetime) -> None:
    """Say that the reply is still being written."""
    Reservation.objects.filter(request_id=request_id, state=State.HELD, lease_until__lt=now + RUNNING_LEASE).update(
        lease_until=now + RUNNING_LEASE
    )


def expire_abandoned(*, now: datetime, at_most: int = 500) -> int:
    """Give back what was reserved for requests that nobody runs any more; returns how many."""
    ids = Reservation.objects.filter(state=State.HELD, lease_until__lt=now).order_by("lease_until")
    expired = 0
    for request_id in list(ids.values_list("request_id", flat=True)[:at_most]):
        with transaction.atomic():
            ended = buckets.end(request_id=request_id, of=(State.HELD,), to=State.EXPIRED, lapsed_at=now, now=now)
            _correct_cap(ended, used=0)
            expired += ended is not None
    return expired


def allowance_of(user: User, *, now: datetime, entitlement: Entitlement | None = None) -> Allowance:
    """What the person has used and has left, for pages and the API. Running replies count as used.

    Who has the entitlement of `now` already passes it.
    """
    entitlement = entitlement or entitlement_of(user, now=now)
    levels = buckets.levels(user_id=user.pk, now=now)
    messages, tokens = levels.get(Kind.MESSAGES), levels.get(Kind.TOKENS)
    used = messages.taken if messages else 0
    tokens_used = tokens.taken if tokens else 0
    return Allowance(
        plan_key=entitlement.plan_key,
        plan_name=entitlement.plan_name,
        limit=entitlement.messages_per_window,
        used=used,
        remaining=max(0, entitlement.messages_per_window - used),
        resets_at=messages.resets_at if messages else None,
        window=entitlement.window,
        token_limit=entitlement.tokens_per_month,
        tokens_used=tokens_used,
        tokens_remaining=max(0, entitlement.tokens_per_month - tokens_used),
        tokens_reset_at=tokens.resets_at if tokens else None,
    )


def _within_cap(key: ApiKey, prompt_tokens: int, longest: int, now: datetime) -> int:
    """The longest reply that the key may still pay for. Raises `api_keys.CapReached` when there is none."""
    left = api_keys.left_this_month(key, now=now)
    if left is None:
        return longest
    if left - prompt_tokens < min(longest, SMALLEST_REPLY_TOKENS):
        raise api_keys.CapReached(key, now=now)
    return min(longest, left - prompt_tokens)


def _take_from_cap(key: ApiKey, reservation: Reservation, now: datetime) -> None:
    """Raises `api_keys.CapReached` when another request has just taken what was left."""
    if not api_keys.take(key=key, tokens=reservation.reserved_tokens, now=now):
        raise api_keys.CapReached(key, now=now)


def _correct_cap(ended: buckets.Ended | None, *, used: int) -> None:
    if ended and ended.spender_id:
        api_keys.correct(spender_id=ended.spender_id, taken=ended.held_tokens, used=used, taken_at=ended.created_at)


def _tell_of_limit(user: User, now: datetime) -> None:
    if nearing.is_wanted(user):
        nearing.tell(user, allowance_of(user, now=now), now=now)


def next_month(anchor: datetime, *, after: datetime) -> datetime:
    """The first moment after `after` that is whole months from `anchor`; on the last day of a shorter month."""
    months = (after.year - anchor.year) * 12 + after.month - anchor.month
    moment = _months_later(anchor, months)
    return moment if moment > after else _months_later(anchor, months + 1)


def _months_later(anchor: datetime, months: int) -> datetime:
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    day = min(anchor.day, calendar.monthrange(year, month + 1)[1])
    return anchor.replace(year=year, month=month + 1, day=day)


def _take(reservation: Reservation, entitlement: Entitlement, prompt_tokens: int, now: datetime) -> Taking:
    """Take the whole wish, or what is left of the month if that is enough for a short reply."""
    limit = entitlement.tokens_per_month
    for _attempt in range(3):
        taking = buckets.reserve(reservation, wishes=_wishes(reservation, entitlement, now), now=now)
        if taking.is_stored or Kind.MESSAGES not in taking.levels or Kind.TOKENS in taking.levels:
            break
        level = buckets.level(user_id=reservation.user_id, kind=Kind.TOKENS, now=now)
        left = limit - (level.taken if level else 0)
        if left < prompt_tokens + SMALLEST_REPLY_TOKENS:
            break
        reservation.reserved_tokens = left
        reservation.max_output_tokens = min(reservation.max_output_tokens, left - prompt_tokens)
    return taking


def _wishes(reservation: Reservation, entitlement: Entitlement, now: datetime) -> dict[Kind, Wish]:
    month_ends_at = next_month(entitlement.month_anchor, after=now)
    return {
        Kind.CONCURRENCY: Wish(1, entitlement.concurrent_replies, NEVER),
        Kind.MESSAGES: Wish(1, entitlement.messages_per_window, now + entitlement.window),
        Kind.TOKENS: Wish(reservation.reserved_tokens, entitlement.tokens_per_month, month_ends_at),
    }


def _grant(reservation: Reservation, messages: Level, entitlement: Entitlement) -> Grant:
    return Grant(
        request_id=reservation.request_id,
        max_output_tokens=reservation.max_output_tokens,
        remaining_messages=max(0, entitlement.messages_per_window - messages.taken),
        resets_at=messages.resets_at,
    )


def _granted_before(reservation: Reservation, user: User, now: datetime) -> Grant:
    allowance = allowance_of(user, now=now)
    return Grant(
        request_id=reservation.request_id,
        max_output_tokens=reservation.max_output_tokens,
        remaining_messages=allowance.remaining,
        resets_at=allowance.resets_at or now,
    )


def _exceeded(kind: Kind, user_id: uuid.UUID, entitlement: Entitlement, now: datetime) -> QuotaExceeded:
    limits = {
        Kind.CONCURRENCY: entitlement.concurrent_replies,
        Kind.MESSAGES: entitlement.messages_per_window,
        Kind.TOKENS: entitlement.tokens_per_month,
    }
    level = buckets.level(user_id=user_id, kind=kind, now=now)
    resets_at = level.resets_at if level else now
    if kind == Kind.CONCURRENCY:
        held = Reservation.objects.filter(user_id=user_id, state=State.HELD, lease_until__gt=now)
        resets_at = min([*held.values_list("lease_until", flat=True), now + RUNNING_LEASE])
    return QuotaExceeded(
        str(kind),
        limit=limits[kind],
        used=level.taken if level else 0,
        resets_at=resets_at,
        plan_key=entitlement.plan_key,
        window=entitlement.window if kind == Kind.MESSAGES else None,
    )
