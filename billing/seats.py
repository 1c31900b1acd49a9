"""A seat has its plan's limits once, however many people sit in it, one after the other.

Whoever takes a seat that somebody left goes on with what was used on it, until the window or the month ends. Of the
seat is what those in it used under its plan: neither what they had used before they came nor what a better plan of
their own paid for.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Count, F, PositiveBigIntegerField, Sum, Value, When

from billing import buckets
from billing.buckets import Kind
from billing.models import FreedSeat, Plan, Reservation, Team, TeamMembership

State = Reservation.State
_COUNTED = Case(
    When(state=State.HELD, then=F("reserved_tokens")),
    default=F("prompt_tokens") + F("completion_tokens"),
    output_field=PositiveBigIntegerField(),
)


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one limit is used on a seat, and when that counts no more."""

    kind: Kind
    used: int
    resets_at: datetime


def leave(team: Team, leaving: TeamMembership, *, paid: int, now: datetime) -> None:
    """The membership ends. Whoever waits for the seat goes on with it, else who takes it later. The team is locked."""
    members = list(team.memberships.order_by("id"))
    had_seat = leaving.pk in [member.pk for member in members[:paid]]
    uses = _of_seat(leaving, now) if had_seat else []
    leaving.delete()
    seat = uuid.uuid4()
    freed = FreedSeat.objects.bulk_create(
        FreedSeat(team=team, seat=seat, kind=use.kind, used=use.used, resets_at=use.resets_at) for use in uses
    )
    if had_seat and len(members) > paid:
        _sit_down(members[paid], freed, now)


def take(team: Team, comer: TeamMembership, *, free: int, now: datetime) -> None:
    """One of the `free` seats: one that nobody had lately, else the least used of those that somebody left."""
    team.freed_seats.filter(resets_at__lte=now).delete()
    freed: dict[uuid.UUID, list[FreedSeat]] = {}
    for row in team.freed_seats.filter(taken_by=None):
        freed.setdefault(row.seat, []).append(row)
    if free > len(freed):
        return
    _sit_down(comer, min(freed.values(), key=_tokens), now)


def forget_old(*, now: datetime) -> int:
    """Returns how much of what was used on seats counts no more, its window or month being over."""
    return FreedSeat.objects.filter(resets_at__lte=now).delete()[0]


def _tokens(rows: list[FreedSeat]) -> int:
    return sum(row.used for row in rows if row.kind == Kind.TOKENS)


def _sit_down(comer: TeamMembership, freed: list[FreedSeat], now: datetime) -> None:
    for row in sorted(freed, key=lambda row: buckets.ORDER.index(Kind(row.kind))):
        buckets.begin_with(user_id=comer.user_id, kind=Kind(row.kind), used=row.used, resets_at=row.resets_at, now=now)
    FreedSeat.objects.filter(pk__in=[row.pk for row in freed]).update(taken_by=comer)


def _of_seat(leaving: TeamMembership, now: datetime) -> list[Use]:
    """What was used by those before and by who leaves now, in the windows that are open."""
    before = {row.kind: row for row in leaving.freed_seat.filter(resets_at__gt=now)}
    uses = {use.kind: use for use in _used_by(leaving, now)}
    both = []
    for kind in (Kind.MESSAGES, Kind.TOKENS):
        parts = [part for part in (before.get(kind), uses.get(kind)) if part]
        if parts:
            both.append(Use(kind, sum(part.used for part in parts), max(part.resets_at for part in parts)))
    return both


def _used_by(leaving: TeamMembership, now: datetime) -> list[Use]:
    levels = buckets.levels(user_id=leaving.user_id, now=now)
    on_seat = Reservation.objects.filter(
        user_id=leaving.user_id,
        created_at__gte=leaving.joined_at,
        plan_key__in=Plan.objects.filter(is_per_seat=True).values("key"),
        state__in=(State.HELD, State.SETTLED),
    )
    uses = []
    for kind, amount in ((Kind.MESSAGES, Count("pk")), (Kind.TOKENS, Sum(_COUNTED, default=Value(0)))):
        if level := levels.get(kind):
            used = on_seat.filter(**{f"{kind}_window": level.window_number}).aggregate(used=amount)["used"]
            uses += [Use(kind, used, level.resets_at)] if used else []
    return uses
