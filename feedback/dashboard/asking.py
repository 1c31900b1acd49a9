"""Ask or guess: what people did with clarifying questions, by the model that asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q
from django.utils.translation import gettext as _

from feedback.dashboard.table import MOST_SHOWN, Share, Table
from feedback.models import ImplicitSignal

Kind = ImplicitSignal.Kind
ANSWERED = (Kind.OPTION, Kind.OWN_WORDS)
OUTCOMES = (Kind.OPTION, Kind.OWN_WORDS, Kind.JUST_ANSWER, Kind.IGNORED)


def asking(since: datetime) -> Table:
    """Of the questions that were answered or waved away, how many were answered; those left alone are counted apart."""
    counted: Any = (
        ImplicitSignal.objects.usable(OUTCOMES)
        .filter(created_at__gte=since)
        .values(version=F("message__reply__model_version"))
        .annotate(**{kind.value: Count("id", filter=Q(kind=kind)) for kind in OUTCOMES})
        .order_by("version")
    )
    rows = list(counted)
    shares = [
        Share(
            row["version"] or _("unknown"),
            sum(row[kind] for kind in ANSWERED),
            sum(row[kind] for kind in (*ANSWERED, Kind.JUST_ANSWER)),
        )
        for row in rows
    ]
    return Table(
        key="asking",
        title=_("Ask or guess"),
        lead=_(
            "Of clarifying questions, the share that people answered rather than had the model just answer, with its "
            "95 % interval. Only of people who consented."
        ),
        head=[
            _("Model version"),
            _("Answered"),
            _("Of"),
            _("Answered %"),
            _("from %"),
            _("to %"),
            _("Offered answer"),
            _("Own words"),
            _("Just answer"),
            _("Left alone"),
        ],
        rows=[[*share.cells, *(row[kind] for kind in OUTCOMES)] for share, row in zip(shares, rows, strict=True)],
        bars=[share.bar for share in shares],
        most_shown=MOST_SHOWN,
    )
