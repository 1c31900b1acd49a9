"""From what people said to rows of data sets: how much is left after each step."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from feedback.dashboard.table import Table, lengths
from feedback.models import FeedbackEvent, Rating, Release, ReleaseMember, ReleaseRow


def funnel(since: datetime) -> Table:
    """Of the events since then; a step counts what is there now, so that a withdrawal shows at once."""
    ratings = Rating.objects.filter(rated_at__gte=since)
    readable = ratings.may_be_read()
    decided = readable.exclude(decided_event=None)
    # Rows stay with the release they were made in, also where another without some of them has taken its place.
    sealed = Release.objects.data_sets().filter(state=Release.State.SEALED)
    held = Q(release__in=sealed) | Q(release__in=sealed.exclude(lineage=None).values("lineage"))
    released = readable.filter(Exists(ReleaseMember.objects.filter(held, event_id=OuterRef("event"))))
    steps = [
        (_("Events (rated, changed, withdrawn)"), FeedbackEvent.objects.filter(created_at__gte=since).count()),
        (_("Live ratings"), ratings.count()),
        (_("With consent and kept"), readable.count()),
        (_("Decided by readers"), decided.count()),
        (_("Approved"), decided.filter(verdict=Rating.Verdict.APPROVED).count()),
        (_("In a release"), released.count()),
        (_("Rows of releases made since"), ReleaseRow.objects.filter(held, release__created_at__gte=since).count()),
    ]
    counts = [count for _label, count in steps]
    return Table(
        key="funnel",
        title=_("From ratings to rows"),
        lead=_("How many are left after each step. One rating can make several rows."),
        head=[_("Step"), _("Count")],
        rows=[[label, count] for label, count in steps],
        bars=lengths(counts),
    )
