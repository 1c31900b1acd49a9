"""What people think of the replies: shares of ratings that are up, and the reasons they give."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, F, Func, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from feedback import reasons as known_reasons
from feedback.dashboard.table import LONGEST_TABLE, Share, Table, cells
from feedback.models import Rating


def _shares(ratings: QuerySet[Rating], group: Any, *, order: str = "-total") -> Iterable[tuple[Any, Share]]:
    rows = (
        ratings.annotate(group=group)
        .values("group")
        .annotate(total=Count("id"), up=Count("id", filter=Q(value=1)))
        .order_by(order, "group")
    )
    for row in rows:
        yield row["group"], Share(str(row["group"] or _("unknown")), row["up"], row["total"])


def by_group(ratings: QuerySet[Rating], key: str, title: Any, group: Any) -> Table:
    shares = [share for _group, share in _shares(ratings, group)][:LONGEST_TABLE]
    return Table(
        key=key,
        title=str(title),
        lead=_("Share of ratings that are up, with its 95 % interval."),
        head=[_("Group"), _("Up"), _("Ratings"), _("Approval %"), _("from %"), _("to %")],
        rows=[cells(share) for share in shares],
        points=[(share.label.removeprefix("reply."), share.percent) for share in shares],
    )


def by_day(ratings: QuerySet[Rating]) -> Table:
    shares = list(_shares(ratings, TruncDate("rated_at"), order="group"))
    return Table(
        key="day",
        title=_("Approval by day"),
        lead=_("Share of ratings that are up, with its 95 % interval."),
        head=[_("Day"), _("Up"), _("Ratings"), _("Approval %"), _("from %"), _("to %")],
        rows=[cells(share) for _day, share in shares],
        points=[(date_format(day, "j M"), share.percent) for day, share in shares],
        is_line=True,
    )


def reasons(ratings: QuerySet[Rating]) -> Table:
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
