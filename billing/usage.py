"""What a person used, day by day, for the usage page and the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, F, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from accounts.models import User
from billing.models import Reservation


@dataclass(frozen=True, slots=True)
class Day:
    """One day in the person's time zone; running replies are not in it yet."""

    day: date
    messages: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def days_of(user: User, *, now: datetime, count: int = 30) -> list[Day]:
    """The last `count` days, oldest first, days without use too."""
    today = timezone.localtime(now).date()
    first = today - timedelta(days=count - 1)
    since = timezone.make_aware(datetime(first.year, first.month, first.day))  # noqa: DTZ001 - made aware right here
    settled = Reservation.objects.filter(user=user, state=Reservation.State.SETTLED, created_at__gte=since)
    rows = settled.annotate(day=TruncDate(F("created_at"))).values("day").order_by("day")
    found = {
        row["day"]: Day(row["day"], row["messages"], row["prompt"], row["completion"])
        for row in rows.annotate(messages=Count("pk"), prompt=Sum("prompt_tokens"), completion=Sum("completion_tokens"))
    }
    days = [first + timedelta(days=offset) for offset in range(count)]
    return [found.get(day, Day(day, 0, 0, 0)) for day in days]
