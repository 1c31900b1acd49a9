"""What people choose side by side, and how far position and length speak in it."""

from __future__ import annotations

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Length
from django.utils.translation import gettext as _

from feedback.dashboard.table import Share, Table
from feedback.models import Comparison


def preferences(answered: QuerySet[Comparison]) -> Table:
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
        rows=[share.cells for share in shares],
        bars=[share.bar for share in shares],
    )
