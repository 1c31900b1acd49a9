"""What people think of the replies, and how the work on it goes: every table of the dashboard, from live rows."""

from __future__ import annotations

from collections.abc import Callable
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
from feedback.dashboard.table import OVER_TIME, Table
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
    return [make() for make in _makers(days=days, now=now, viewer=viewer).values()]


def table(key: str, *, days: int, now: datetime, viewer: User) -> Table | None:
    """The one with this key, or the figures behind its lines; None where the viewer may see no such one."""
    make = _makers(days=days, now=now, viewer=viewer).get(key.removesuffix(OVER_TIME))
    if make is None:
        return None
    made = make()
    return next((one for one in (made, made.figures) if one and one.key == key), None)


def _makers(*, days: int, now: datetime, viewer: User) -> dict[str, Callable[[], Table]]:
    """What makes each table, by its key."""
    since = now - timedelta(days=days)
    ratings = Rating.objects.filter(rated_at__gte=since)
    compared = Comparison.objects.filter(answered_at__gte=since)
    version = F("event__snapshot__model_version")
    return {
        "day": lambda: by_time(ratings, days=days),
        "version": lambda: by_group(ratings, "version", _("Approval by model version"), version, days=days),
        "plan": lambda: by_group(ratings, "plan", _("Approval by plan"), PLAN, days=days),
        "language": lambda: by_group(ratings, "language", _("Approval by language"), F("event__locale"), days=days),
        "reasons": lambda: reasons(ratings, days=days),
        "preferences": lambda: preferences(compared),
        "asking": lambda: asking(since),
        **(_of_the_review(since) if viewer.has_perm(ADJUDICATE) else {}),
        "trust": lambda: trust(since),
    }


def _of_the_review(since: datetime) -> dict[str, Callable[[], Table]]:
    """What moves with every decision, and so tells whoever looks before and after theirs which item was gold."""
    decisions = ReviewDecision.objects.filter(created_at__gte=since)
    return {
        "funnel": lambda: funnel(since),
        "speed": lambda: speed(decisions),
        "review": lambda: review(decisions),
        "orders": lambda: by_order(decisions),
        "reviewers": lambda: reviewer_trust(since),
        "agreement": lambda: agreement(decisions),
    }
