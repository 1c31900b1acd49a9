"""What people think of the replies, and how the work on it goes: every table of the dashboard, from live rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Replace
from django.utils.translation import gettext as _

from accounts.models import User
from feedback.dashboard.approval import by_group, by_time, reasons
from feedback.dashboard.asking import asking
from feedback.dashboard.comparisons import preferences
from feedback.dashboard.funnel import funnel
from feedback.dashboard.reviewing import agreement, by_order, review, reviewer_trust, speed, trust
from feedback.dashboard.table import Table
from feedback.models import Comparison, Rating, ReviewDecision
from feedback.models.ratings import ADJUDICATE

PERIODS = (7, 30, 90, 365)
# The plan its person had; older events know the queue alone, which plans may share.
PLAN = Coalesce(
    KeyTextTransform("plan", "event__snapshot"),
    Replace("message__reply__queue", Value("reply.")),
    output_field=TextField(),
)


def tables(*, days: int, now: datetime, viewer: User) -> list[Table]:
    """All tables over the last `days` days that the viewer may see."""
    since = now - timedelta(days=days)
    ratings = Rating.objects.filter(rated_at__gte=since)
    return [
        by_time(ratings, days=days),
        by_group(ratings, "version", _("Approval by model version"), F("event__snapshot__model_version"), days=days),
        by_group(ratings, "plan", _("Approval by plan"), PLAN, days=days),
        by_group(ratings, "language", _("Approval by language"), F("event__locale"), days=days),
        reasons(ratings, days=days),
        preferences(Comparison.objects.filter(answered_at__gte=since)),
        asking(since),
        *(_of_the_review(since) if viewer.has_perm(ADJUDICATE) else []),
        trust(since),
    ]


def _of_the_review(since: datetime) -> list[Table]:
    """What moves with every decision, and so tells whoever looks before and after theirs which item was gold."""
    decisions = ReviewDecision.objects.filter(created_at__gte=since)
    return [
        funnel(since),
        speed(decisions),
        review(decisions),
        by_order(decisions),
        reviewer_trust(since),
        agreement(decisions),
    ]
