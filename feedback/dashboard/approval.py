"""What people think of the replies: shares of ratings that are up, and the reasons they give, over time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDay, TruncMonth, TruncWeek
from django.utils.translation import gettext as _

from feedback import reasons as known_reasons
from feedback.dashboard.table import MOST_SHOWN, OVER_TIME, Share, Table
from feedback.dashboard.trend import MOST_LINES, trend
from feedback.models import Rating

# Of each group its share of each day, week or month.
OverTime = Mapping[str, Mapping[date, Share]]
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
        trend=trend(_percents(over_time), unit=" %", top=100),
        figures=_figures(
            key,
            _("%(title)s, over time") % {"title": title},
            [_("Group"), _("From"), _("Up"), _("Ratings"), _("Approval %"), _("from %"), _("to %")],
            over_time,
        ),
        most_shown=MOST_SHOWN,
    )


def _percents(over_time: OverTime) -> dict[str, dict[date, float]]:
    return {label: {day: share.percent for day, share in each.items()} for label, each in over_time.items()}


def _figures(key: str, title: str, head: list[str], over_time: OverTime) -> Table:
    """What the lines of the table with this key are drawn from."""
    return Table(
        key=f"{key}{OVER_TIME}",
        title=title,
        lead="",
        head=head,
        rows=[
            [label, f"{day:%Y-%m-%d}", *share.cells[1:]]
            for label, each in over_time.items()
            for day, share in each.items()
        ],
        most_shown=MOST_FIGURES,
    )


def _over_time(grouped: QuerySet[Rating], labels: list[str], days: int) -> OverTime:
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
    """In what share of all ratings each reason was ticked; the lines are those of ratings that are down."""
    rated: Counter[date] = Counter()
    ticked: defaultdict[tuple[int, str], Counter[date]] = defaultdict(Counter)
    together = ratings.annotate(bucket=_bucket("rated_at", days)).values("bucket", "value", "reasons")
    for row in together.annotate(total=Count("id")).order_by():
        day = row["bucket"].date()
        rated[day] += row["total"]
        for reason in row["reasons"]:
            ticked[row["value"], reason][day] += row["total"]
    labels = {(value, reason): str(known_reasons.known(value).get(reason, reason)) for value, reason in ticked}
    commonest = sorted(ticked, key=lambda one: (-ticked[one].total(), one))
    shares = [Share(labels[one], ticked[one].total(), rated.total()) for one in commonest]
    over_time = {
        labels[one]: {day: Share(labels[one], ticked[one][day], rated[day]) for day in sorted(rated)}
        for one in commonest
        if one[0] < 0
    }
    return Table(
        key="reasons",
        title=_("Reasons"),
        lead=_(
            "Of all ratings, the share in which each reason was ticked, with its 95 % interval; several can be. The "
            "lines are the commonest under ratings down."
        ),
        head=[_("Reason"), _("Direction"), _("Count"), _("Of"), _("Share %"), _("from %"), _("to %")],
        rows=[
            [share.label, _("up") if value > 0 else _("down"), *share.cells[1:]]
            for share, (value, _reason) in zip(shares, commonest, strict=True)
        ],
        bars=[share.bar for share in shares],
        trend=trend(_percents(over_time), unit=" %"),
        figures=_figures(
            "reasons",
            _("Reasons of ratings down, over time"),
            [_("Reason"), _("From"), _("Count"), _("Of"), _("Share %"), _("from %"), _("to %")],
            over_time,
        ),
    )
