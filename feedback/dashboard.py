"""What people think of the replies, and how the work on it goes: every table of the dashboard, from live rows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

from django.db.models import Aggregate, Count, DurationField, ExpressionWrapper, F, Func, Q, QuerySet
from django.db.models.functions import Length, TruncDate
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from feedback import reasons as known_reasons
from feedback.agreement import alpha_interval, cohen_kappa, krippendorff_alpha
from feedback.intervals import wilson
from feedback.models import Comparison, Rating, ReviewDecision
from feedback.trust import raters

PERIODS = (7, 30, 90, 365)
LONGEST_TABLE = 30


@dataclass(frozen=True)
class Share:
    """`hits` of `total`, with a 95 % interval. The percentages are numbers between 0 and 100."""

    label: str
    hits: int
    total: int

    @property
    def percent(self) -> float:
        return 100 * self.hits / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        low, high = wilson(self.hits, self.total)
        return 100 * low, 100 * high


@dataclass(frozen=True)
class Table:
    """One card. `head` names the columns of `rows`; `points` are (label, value) of its chart, if it has one."""

    key: str
    title: str
    lead: str
    head: list[str]
    rows: list[list[Any]]
    points: list[tuple[str, float]]
    is_line: bool = False


class _Median(Aggregate):
    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()


def tables(*, days: int, now: datetime) -> list[Table]:
    """All tables over the last `days` days."""
    since = now - timedelta(days=days)
    ratings = Rating.objects.filter(rated_at__gte=since)
    return [
        _approval_by_day(ratings),
        _approval(ratings, "version", gettext_lazy("Approval by model version"), F("event__snapshot__model_version")),
        _approval(ratings, "plan", gettext_lazy("Approval by plan"), F("message__reply__queue")),
        _approval(ratings, "language", gettext_lazy("Approval by language"), F("event__locale")),
        _reasons(ratings),
        _preferences(Comparison.objects.filter(answered_at__gte=since)),
        _review(ReviewDecision.objects.filter(created_at__gte=since)),
        _trust(since),
        _agreement(ReviewDecision.objects.filter(created_at__gte=since)),
    ]


def _shares(ratings: QuerySet[Rating], group: Any, *, order: str = "-total") -> Iterable[tuple[Any, Share]]:
    rows = (
        ratings.annotate(group=group)
        .values("group")
        .annotate(total=Count("id"), up=Count("id", filter=Q(value=1)))
        .order_by(order, "group")
    )
    for row in rows:
        yield row["group"], Share(str(row["group"] or _("unknown")), row["up"], row["total"])


def _approval(ratings: QuerySet[Rating], key: str, title: Any, group: Any) -> Table:
    shares = [share for _group, share in _shares(ratings, group)][:LONGEST_TABLE]
    return Table(
        key=key,
        title=str(title),
        lead=_("Share of ratings that are up, with its 95 % interval."),
        head=[_("Group"), _("Up"), _("Ratings"), _("Approval %"), _("from %"), _("to %")],
        rows=[_row(share) for share in shares],
        points=[(share.label.removeprefix("reply."), share.percent) for share in shares],
    )


def _row(share: Share) -> list[Any]:
    low, high = share.interval
    return [
        share.label.removeprefix("reply."),
        share.hits,
        share.total,
        *(round(x, 1) for x in (share.percent, low, high)),
    ]


def _approval_by_day(ratings: QuerySet[Rating]) -> Table:
    shares = list(_shares(ratings, TruncDate("rated_at"), order="group"))
    return Table(
        key="day",
        title=_("Approval by day"),
        lead=_("Share of ratings that are up, with its 95 % interval."),
        head=[_("Day"), _("Up"), _("Ratings"), _("Approval %"), _("from %"), _("to %")],
        rows=[_row(share) for _day, share in shares],
        points=[(date_format(day, "j M"), share.percent) for day, share in shares],
        is_line=True,
    )


def _reasons(ratings: QuerySet[Rating]) -> Table:
    counted = (
        ratings.annotate(reason=Func(F("reasons"), function="unnest"))
        .values("reason", "value")
        .annotate(total=Count("id"))
        .order_by("-total", "reason")
    )
    rows = [
        [str(known_reasons.known(row["value"]).get(row["reason"], row["reason"])), row["value"], row["total"]]
        for row in counted
    ]
    return Table(
        key="reasons",
        title=_("Reasons"),
        lead=_("How often each reason was ticked; several can be."),
        head=[_("Reason"), _("Direction"), _("Ratings")],
        rows=[[label, _("up") if value > 0 else _("down"), total] for label, value, total in rows],
        points=[(label, total) for label, value, total in rows if value < 0],
    )


def _preferences(answered: QuerySet[Comparison]) -> Table:
    counts = dict(answered.values_list("choice").annotate(Count("id")).order_by())
    left, right = counts.get("left", 0), counts.get("right", 0)
    decided = answered.filter(choice__in=["left", "right"]).annotate(
        left_length=Length("left__content"), right_length=Length("right__content")
    )
    unequal = decided.exclude(left_length=F("right_length"))
    longer_won = unequal.filter(
        Q(choice="left", left_length__gt=F("right_length")) | Q(choice="right", left_length__lt=F("right_length"))
    )
    answers = sum(counts.values())
    shares = [
        Share(_("the left one was preferred (position bias)"), left, left + right),
        Share(_("the longer one was preferred (length bias)"), longer_won.count(), unequal.count()),
        Share(_("about the same"), counts.get("tie", 0), answers),
        Share(_("both are bad"), counts.get("neither", 0), answers),
        Share(_("skipped"), counts.get("skipped", 0), answers),
    ]
    return Table(
        key="preferences",
        title=_("Side by side"),
        lead=_("Without bias, the first two are near 50 %."),
        head=[_("Of the answers"), _("Count"), _("Of"), _("Share %"), _("from %"), _("to %")],
        rows=[_row(share) for share in shares],
        points=[],
    )


def _review(decisions: QuerySet[ReviewDecision]) -> Table:
    waited = ExpressionWrapper(F("created_at") - F("event__created_at"), output_field=DurationField())
    rows = (
        decisions.values("reviewer__email")
        .annotate(total=Count("id"), approved=Count("id", filter=Q(verdict="approved")), median=_Median(waited))
        .order_by("-total", "reviewer__email")[:LONGEST_TABLE]
    )
    return Table(
        key="review",
        title=_("Review"),
        lead=_("Decisions of each reviewer, and how long a rating had waited for them (median)."),
        head=[_("Reviewer"), _("Approved"), _("Decisions"), _("Approved %"), _("Waited")],
        rows=[
            [
                row["reviewer__email"] or _("unknown"),
                row["approved"],
                row["total"],
                round(100 * row["approved"] / row["total"], 1),
                _length(row["median"]),
            ]
            for row in rows
        ],
        points=[],
    )


def _trust(since: datetime) -> Table:
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


def _agreement(decisions: QuerySet[ReviewDecision]) -> Table:
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
