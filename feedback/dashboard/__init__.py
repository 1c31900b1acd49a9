"""What people think of the replies, and how the work on it goes: every table of the dashboard, from live rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F
from django.utils.translation import gettext as _

from feedback.dashboard.approval import by_group, by_time, reasons
from feedback.dashboard.asking import asking
from feedback.dashboard.comparisons import preferences
from feedback.dashboard.funnel import funnel
from feedback.dashboard.reviewing import agreement, review, reviewer_trust, speed, trust
from feedback.dashboard.table import Table
from feedback.models import Comparison, Rating, ReviewDecision

PERIODS = (7, 30, 90, 365)


def tables(*, days: int, now: datetime) -> list[Table]:
    """All tables over the last `days` days."""
    since = now - timedelta(days=days)
    ratings = Rating.objects.filter(rated_at__gte=since)
    decisions = ReviewDecision.objects.filter(created_at__gte=since)
    return [
        by_time(ratings, days=days),
        by_group(ratings, "version", _("Approval by model version"), F("event__snapshot__model_version"), days=days),
        by_group(ratings, "plan", _("Approval by plan"), F("message__reply__queue"), days=days),
        by_group(ratings, "language", _("Approval by language"), F("event__locale"), days=days),
        reasons(ratings, days=days),
        funnel(since),
        preferences(Comparison.objects.filter(answered_at__gte=since)),
        asking(since),
        speed(decisions),
        review(decisions),
        reviewer_trust(since),
        agreement(decisions),
        trust(since),
    ]
