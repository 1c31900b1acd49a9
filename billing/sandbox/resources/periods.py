"""Billing periods by the calendar, in seconds since 1970 (UTC)."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime

from billing.sandbox.store import Document

_SECONDS = {"day": 86_400, "week": 604_800}


def period_end(start: int, recurring: Document, *, count: int = 1) -> int:
    """The same day of a later month or year; the last of the month when that has fewer days."""
    interval, each = recurring["interval"], int(recurring["interval_count"])
    if interval in _SECONDS:
        return start + count * each * _SECONDS[interval]
    return months_later(start, count * each * (12 if interval == "year" else 1))


def months_later(start: int, months: int) -> int:
    begin = datetime.fromtimestamp(start, tz=UTC)
    month = begin.month - 1 + months
    year, month = begin.year + month // 12, month % 12 + 1
    day = min(begin.day, calendar.monthrange(year, month)[1])
    return int(begin.replace(year=year, month=month, day=day).timestamp())


def next_period_end(anchor: int, recurring: Document, *, after: int) -> int:
    """The first end of a period, counted from the anchor, that is after `after`; the anchor's day is never lost."""
    count = 1
    while (end := period_end(anchor, recurring, count=count)) <= after:
        count += 1
    return end
