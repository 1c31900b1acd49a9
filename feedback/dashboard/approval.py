"""What people think of the replies: shares of ratings that are up, and the reasons they give, over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from django.db.models import Count, F, Func, Q, QuerySet
from django.db.models.functions import TruncDay, TruncMonth, TruncWeek
from django.utils.translation import gettext as _

from feedback import reasons as known_reasons
from feedback.dashboard.table import MOST_SHOWN, OVER_TIME, Share, Table, lengths
from feedback.dashboard.trend import MOST_LINES, trend
from feedback.models import Rating

# A page shows those of all lines of a chart, which have a point a day or fewer.
MOST_FIGURES = 31 * MOST_LINES
# Over more days than these, ratings are counted by week, and by month.
BY_DAY, BY_WEEK = 30, 90


def by_time(ratings: QuerySet[Rating], *, days: int) -> Table:
    """All ratings together, one row a day, week or month."""
    counted = _counted(ratings.annotate(bucket=_bucket("rated_at", days)).values("bucket").order_by("bucket"))
    shares = [Share(f"{row['bucket']:%Y-%m-%d}", row["up"], row["total"]) for row in counted]
    series = {_("all"): {row["bucket"].date(): 100 * row["up"] / row["total"] for row in counted}}
    return Table(
        key="day",
        title=_("Approval over time"),
        lead=_("Share of ratings that are up, with its 95 % interval."),
        head=[_("From"), _("Up"), _("Ratings"), _("Approval %"), _("from %"), _("to %")],
        rows=[share.cells for share in shares],
        bars=[share.bar for share in shares],
        trend=trend(series, unit=" %", top=100),
    )


def by_group(ratings: QuerySet[Rating], key: str, title: Any, group: Any, *, days: int) -> Table:
    """One row a group, the largest first, and the largest four as lines over time."""
    grouped = ratings.annotate(group=group)
    by_label: dict[str, Share] = {}
    for row in _counted(grouped.values("group")):
        _add(by_label, _label(row["group"]), _label(row["group"]), row)
    shares = sorted(by_label.values(), key=lambda share: (-share.total, share.label))
    over_time = _over_time(grouped, [share.label for share in shares], days)
    return Table(
        key=key,
        title=str(title),
        lead=_("Share of ratings that are up, with its 95 % interval."),
        head=[_("Group"), _("Up"), _("Ratings"), _("Approval %"), _("from %"), _("to %")],
        rows=[share.cells for share in shares],
        bars=[share.bar for share in shares],
        trend=trend(
            {label: {day: share.percent for day, share in each.items()} for label, each in over_time.items()},
            unit=" %",
            top=100,
        ),
        figures=Table(
            key=f"{key}{OVER_TIME}",
            title=_("%(title)s, over time") % {"title": title},
            lead="",
            head=[_("Group"), _("From"), _("Up"), _("Ratings"), _("Approval %"), _("from %"), _("to %")],
            rows=[
                [label, f"{day:%Y-%m-%d}", *share.cells[1:]]
                for label, each in over_time.items()
                for day, share in each.items()
            ],
            most_shown=MOST_FIGURES,
        ),
        most_shown=MOST_SHOWN,
    )


def _over_time(grouped: QuerySet[Rating], labels: list[str], days: int) -> dict[str, dict[date, Share]]:
    """Of each group, in the order of the labels, the share of each day, week or month."""
    days_of: dict[str, dict[date, Share]] = {label: {} for label in labels}
    by_bucket = grouped.annotate(bucket=_bucket("rated_at", days)).values("group", "bucket").order_by("bucket")
    for row in _counted(by_bucket):
        if (label := _label(row["group"])) in days_of:  # one that was rated for the first time this moment is not
            _add(days_of[label], row["bucket"].date(), label, row)
    return days_of


def _add(shares: dict[Any, Share], key: Any, label: str, row: dict[str, Any]) -> None:
    """What is known under several names, or under none and an empty one, is one group."""
    before = shares.get(key, Share(label, 0, 0))
    shares[key] = Share(label, before.hits + row["up"], before.total + row["total"])


def _counted(rows: Any) -> Any:
    return rows.annotate(total=Count("id"), up=Count("id", filter=Q(value=1)))


def _label(group: Any) -> str:
    return str(group or _("unknown"))


def _bucket(field: str, days: int) -> Any:
    if days <= BY_DAY:
        return TruncDay(field)
    return TruncWeek(field) if days <= BY_WEEK else TruncMonth(field)


def reasons(ratings: QuerySet[Rating], *, days: int) -> Table:
    """How often each reason was ticked; the lines are those of ratings that are down."""
    ticked = ratings.annotate(reason=Func(F("reasons"), function="unnest"))
    counted = list(ticked.values("reason", "value").annotate(total=Count("id")).order_by("-total", "reason"))
    labels = [str(known_reasons.known(row["value"]).get(row["reason"], row["reason"])) for row in counted]
    over_time = _reasons_over_time(
        ticked.filter(value=-1).annotate(bucket=_bucket("rated_at", days)).values_list("reason", "bucket"),
        [row["reason"] for row in counted if row["value"] < 0],
    )
    return Table(
        key="reasons",
        title=_("Reasons"),
        lead=_("How often each reason was ticked; several can be. The lines are the commonest under ratings down."),
        head=[_("Reason"), _("Direction"), _("Ratings")],
        rows=[
            [label, _("up") if row["value"] > 0 else _("down"), row["total"]]
            for label, row in zip(labels, counted, strict=True)
        ],
        bars=lengths([row["total"] for row in counted]),
        trend=trend(over_time),
        figures=Table(
            key=f"reasons{OVER_TIME}",
            title=_("Reasons of ratings down, over time"),
            lead="",
            head=[_("Reason"), _("From"), _("Ratings")],
            rows=[
                [label, f"{day:%Y-%m-%d}", count] for label, each in over_time.items() for day, count in each.items()
            ],
            most_shown=MOST_FIGURES,
        ),
    )


def _reasons_over_time(ticked: Iterable[tuple[str, datetime]], commonest: list[str]) -> dict[str, dict[date, int]]:
    counts: dict[str, dict[date, int]] = {reason: defaultdict(int) for reason in commonest}
    for reason, bucket in ticked:
        if reason in counts:  # one that was ticked for the first time this moment is not
            counts[reason][bucket.date()] += 1
    return {str(known_reasons.DOWN.get(reason, reason)): dict(sorted(days.items())) for reason, days in counts.items()}
