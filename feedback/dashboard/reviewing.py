"""How the review goes: its speed, how far readers agree, and how far raters and readers can be believed."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

from django.db.models import Aggregate, Count, DurationField, ExpressionWrapper, F, FloatField, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from feedback.agreement import alpha_interval, cohen_kappa, krippendorff_alpha
from feedback.dashboard.table import LONGEST_TABLE, Table
from feedback.models import ReviewDecision
from feedback.reviewer_trust import reviewers
from feedback.trust import raters


class _Median(Aggregate):
    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"


def review(decisions: QuerySet[ReviewDecision]) -> Table:
    waited = ExpressionWrapper(F("created_at") - F("event__created_at"), output_field=DurationField())
    rows = (
        decisions.values("reviewer__email")
        .annotate(
            total=Count("id"),
            approved=Count("id", filter=Q(verdict="approved")),
            median=_Median(waited, output_field=DurationField()),
            reading=_Median("took_ms", output_field=FloatField()),
        )
        .order_by("-total", "reviewer__email")[:LONGEST_TABLE]
    )
    return Table(
        key="review",
        title=_("Review"),
        lead=_("Decisions of each reviewer, how long they read and how long a rating had waited for them (medians)."),
        head=[_("Reviewer"), _("Approved"), _("Decisions"), _("Approved %"), _("Read"), _("Waited")],
        rows=[
            [
                row["reviewer__email"] or _("unknown"),
                row["approved"],
                row["total"],
                round(100 * row["approved"] / row["total"], 1),
                _("%(seconds)s s") % {"seconds": round(row["reading"] / 1000)} if row["reading"] is not None else "",
                _length(row["median"]),
            ]
            for row in rows
        ],
        points=[],
    )


def reviewer_trust(since: datetime) -> Table:
    return Table(
        key="reviewers",
        title=_("Trust in reviewers"),
        lead=_(
            "Verdicts held against gold items and what others say who read the same. The weight is how much better "
            "than guessing a reviewer surely is; it is 1 before ten verdicts could be judged."
        ),
        head=[_("Reviewer"), _("Right"), _("Judged"), _("Gold right"), _("Gold"), _("Weight")],
        rows=[
            [one.email, one.right, one.judged, one.gold_right, one.gold, round(one.weight, 2)]
            for one in reviewers(since=since)[:LONGEST_TABLE]
        ],
        points=[],
    )


def trust(since: datetime) -> Table:
    doubted = [rater for rater in raters(since=since) if rater.weight < 1]
    return Table(
        key="trust",
        title=_("Raters with an unusual pattern"),
        lead=_("Ratings faster than anybody reads, or all one way. The weight is 1 for everybody not listed here."),
        head=[_("Rater"), _("Up"), _("Ratings"), _("Hurried"), _("Weight")],
        rows=[
            [rater.name, rater.up, rater.ratings, rater.hurried, round(rater.weight, 2)]
            for rater in doubted[:LONGEST_TABLE]
        ],
        points=[],
    )


def agreement(decisions: QuerySet[ReviewDecision]) -> Table:
    """Over ratings that more than one has read: all readers together, then each two of them."""
    by_event: dict[Any, list[str]] = {}
    by_reader: dict[str, dict[Hashable, Hashable]] = {}
    for event, reader, verdict in decisions.values_list("event", "reviewer__email", "verdict").order_by("created_at"):
        by_event.setdefault(event, []).append(verdict)
        by_reader.setdefault(reader or _("unknown"), {})[event] = verdict
    units = [verdicts for verdicts in by_event.values() if len(verdicts) > 1]
    alpha, interval = krippendorff_alpha(units), alpha_interval(units)
    rows: list[list[Any]] = []
    if alpha is not None and interval is not None:
        rows.append([_("all (alpha)"), len(units), *(round(figure, 3) for figure in (alpha, *interval))])
    for one, other in combinations(sorted(by_reader), 2):
        kappa = cohen_kappa(by_reader[one], by_reader[other])
        if kappa is not None and len(rows) < LONGEST_TABLE:
            shared = len(by_reader[one].keys() & by_reader[other].keys())
            rows.append([f"{one} · {other}", shared, round(kappa, 3), "", ""])
    return Table(
        key="agreement",
        title=_("Agreement of reviewers"),
        lead=_(
            "Krippendorff's alpha with its 95 % interval, and Cohen's kappa of each two: 1 is full agreement, 0 chance."
        ),
        head=[_("Reviewers"), _("Ratings"), _("Agreement"), _("from"), _("to")],
        rows=rows,
        points=[],
    )


def _length(duration: timedelta) -> str:
    minutes = round(duration / timedelta(minutes=1))
    if minutes < 120:
        return ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes}
    hours = round(minutes / 60)
    if hours < 48:
        return ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours}
    days = round(hours / 24)
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": days}
