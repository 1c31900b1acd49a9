"""What people think of the replies, and how the work on it goes: every table of the dashboard, from live rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F
from django.utils.translation import gettext_lazy

from feedback.dashboard.approval import by_day, by_group, reasons
from feedback.dashboard.comparisons import preferences
from feedback.dashboard.reviewing import agreement, review, reviewer_trust, trust
from feedback.dashboard.table import Table
from feedback.models import Comparison, Rating, ReviewDecision

PERIODS = (7, 30, 90, 365)


def tables(*, days: int, now: datetime) -> list[Table]:
    """All tables over the last `days` days."""
    since = now - timedelta(days=days)
    ratings = Rating.objects.filter(rated_at__gte=since)
    return [
        by_day(ratings),
        by_group(ratings, "version", gettext_lazy("Approval by model version"), F("event__snapshot__model_version")),
        by_group(ratings, "plan", gettext_lazy("Approval by plan"), F("message__reply__queue")),
        by_group(ratings, "language", gettext_lazy("Approval by language"), F("event__locale")),
        reasons(ratings),
        preferences(Comparison.objects.filter(answered_at__gte=since)),
        review(ReviewDecision.objects.filter(created_at__gte=since)),
        reviewer_trust(since),
        trust(since),
        agreement(ReviewDecision.objects.filter(created_at__gte=since)),
    ]
