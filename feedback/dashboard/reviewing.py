"""How the review goes: its speed, how far readers agree, and how far raters and readers can be believed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

from django.db.models import Aggregate, Count, DurationField, ExpressionWrapper, F, FloatField, Func, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from feedback import reasons as known_reasons
from feedback.agreement import alpha_interval, cohen_kappa, krippendorff_alpha
from feedback.dashboard.table import MOST_SHOWN, Share, Table, lengths
from feedback.dashboard.trend import trend
from feedback.models import ReviewDecision
from feedback.review import SLICE
from feedback.reviewer_trust import reviewers
from feedback.sampling import ORDERS
from feedback.trust import raters


class _Median(Aggregate):
    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"


def speed(decisions: QuerySet[ReviewDecision]) -> Table:
    """Decisions a day, and how long each took its reader."""
    rows = list(
        decisions.annotate(day=TruncDate("created_at"))
        .values("day")
        .annotate(total=Count("id"), reading=_Median("took_ms", output_field=FloatField()))
        .order_by("day")
    )
    return Table(
        key="speed",
        title=_("Speed of the review"),
        lead=_("Decisions a day, and how long a reader had the rating before them (median)."),
        head=[_("Day"), _("Decisions"), _("Read")],
        rows=[[f"{row['day']:%Y-%m-%d}", row["total"], _seconds(row["reading"])] for row in rows],
        bars=lengths([row["total"] for row in rows]),
        trend=trend({_("Decisions"): {row["day"]: row["total"] for row in rows}}),
    )


def _seconds(milliseconds: float | None) -> str:
    return "" if milliseconds is None else _("%(seconds)s s") % {"seconds": round(milliseconds / 1000)}


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
        .order_by("-total", "reviewer__email")
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
                _seconds(row["reading"]),
                _length(row["median"]),
            ]
            for row in rows
        ],
        most_shown=MOST_SHOWN,
    )


def by_order(decisions: QuerySet[ReviewDecision]) -> Table:
    """What share was approved of what each order gave; how it was drawn says of which ratings that speaks."""
    found: dict[str, Share] = {}
    for row in decisions.values("drawn_by").annotate(total=Count("id"), up=Count("id", filter=Q(verdict="approved"))):
        label = _how_drawn(row["drawn_by"])
        before = found.get(label, Share(label, 0, 0))
        found[label] = Share(label, before.hits + row["up"], before.total + row["total"])
    shares = sorted(found.values(), key=lambda one: (one.label != _how_drawn(SLICE), -one.total, one.label))
    return Table(
        key="orders",
        title=_("Approved, by how it was drawn"),
        lead=_(
            "Share of decisions that approve, with its 95 % interval. Only what was drawn among all speaks of all that "
            "waited; what was drawn among those with one reason speaks of those."
        ),
        head=[_("Order"), _("Approved"), _("Decisions"), _("Approved %"), _("from %"), _("to %")],
        rows=[share.cells for share in shares],
        bars=[share.bar for share in shares],
        most_shown=MOST_SHOWN,
    )


def _how_drawn(drawn_by: str) -> str:
    order, _colon, reason = drawn_by.partition(":")
    names = {"reason": (known_reasons.DOWN | known_reasons.UP).get(reason, reason), "order": ORDERS.get(order)}
    if order in (SLICE, "random"):
        return _("Drawn among those with: %(reason)s") % names if reason else _("Drawn among all")
    if order not in ORDERS:
        return _("unknown")
    return _("%(order)s, with: %(reason)s") % names if reason else str(ORDERS[order])


def reviewer_trust(since: datetime) -> Table:
    return Table(
        key="reviewers",
        title=_("Trust in reviewers"),
        lead=_(
            "Verdicts held against gold items and what others say who read the same. The weight is how much better "
            "than guessing a reviewer surely is; it is 1 before ten verdicts could be judged. “Said again” tells how "
            "steady they are: of what was given to them twice, how often they said the same."
        ),
        head=[
            *(_("Reviewer"), _("Right"), _("Judged"), _("Gold right"), _("Gold")),
            *(_("Said again"), _("Given twice"), _("Weight")),
        ],
        rows=[
            [
                *(one.email, one.right, one.judged, one.gold_right, one.gold),
                *(one.same, one.repeated, round(one.weight, 2)),
            ]
            for one in reviewers(since=since)
        ],
        most_shown=MOST_SHOWN,
    )


def trust(since: datetime) -> Table:
    doubted = [rater for rater in raters(since=since) if round(rater.weight, 2) < 1]
    return Table(
        key="trust",
        title=_("Raters with an unusual pattern"),
        lead=_(
            "What they say is faster than anybody reads, all one way or all of one side, or of several accounts about "
            "the same questions. The weight is of all that they ever said, as releases have it; it is 1 for everybody "
            "not listed here."
        ),
        head=[
            *(_("Rater"), _("Weight, of all time"), _("Accounts alike, of all time"), _("Ratings in the period")),
            *(_("Up in the period"), _("Comparisons in the period"), _("Left in the period")),
            _("Hurried in the period"),
        ],
        rows=[
            [
                *(rater.name, round(rater.weight, 2), rater.accounts, rater.lately.ratings, rater.lately.up),
                *(rater.lately.answers, rater.lately.left, rater.lately.hurried),
            ]
            for rater in doubted
        ],
        most_shown=MOST_SHOWN,
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
    rows += _by_reason(decisions, by_event)
    for one, other in _read_the_same(by_reader):
        kappa = cohen_kappa(by_reader[one], by_reader[other])
        if kappa is not None:
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
        most_shown=MOST_SHOWN,
    )


def _read_the_same(by_reader: Mapping[str, Mapping[Hashable, Hashable]]) -> list[tuple[str, str]]:
    """Each two readers with a rating that both have read: of very many readers these are few."""
    readers: dict[Hashable, list[str]] = defaultdict(list)
    for reader in sorted(by_reader):
        for event in by_reader[reader]:
            readers[event].append(reader)
    return sorted({pair for together in readers.values() for pair in combinations(together, 2)})


def _by_reason(decisions: QuerySet[ReviewDecision], by_event: dict[Any, list[str]]) -> list[list[Any]]:
    """Alpha over the ratings with each reason, where more than one reader has read some."""
    ticked = decisions.annotate(reason=Func(F("event__reasons"), function="unnest")).values_list("reason", "event")
    events: dict[str, set[Any]] = {}
    for reason, event in ticked:
        if len(by_event.get(event, ())) > 1:  # what is decided this moment is not among them
            events.setdefault(reason, set()).add(event)
    labels = known_reasons.DOWN | known_reasons.UP
    rows: list[list[Any]] = []
    for reason in sorted(events):
        units = [by_event[event] for event in events[reason]]
        if (alpha := krippendorff_alpha(units)) is not None:
            rows.append([str(labels.get(reason, reason)), len(units), round(alpha, 3), "", ""])
    return rows


def _length(duration: timedelta) -> str:
    minutes = round(duration / timedelta(minutes=1))
    if minutes < 120:
        return ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes}
    hours = round(minutes / 60)
    if hours < 48:
        return ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours}
    days = round(hours / 24)
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": days}
