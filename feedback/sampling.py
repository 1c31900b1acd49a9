"""In which order ratings come to readers."""

from __future__ import annotations

from django.db.models import Case, Exists, IntegerField, OuterRef, Q, Value, When
from django.db.models.functions import Cast, Least
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from feedback.models import (
    Escalation,
    FeedbackEvent,
    ImplicitSignal,
    Rating,
    RatingQuerySet,
    ReviewDecision,
    ReviewLease,
)
from feedback.models.ratings import count_of

Kind = ImplicitSignal.Kind

# The first is what a reader is given who chooses none.
ORDERS: dict[str, str | Promise] = {
    "random": _("Random"),
    "oldest": _("Oldest"),
    "newest": _("Newest"),
    "uncertain": _("Uncertain"),
    "disagreed": _("Disagreed"),
    "escalated": _("Escalated"),
}
DEFAULT = next(iter(ORDERS))


def ordered(ratings: RatingQuerySet, order: str, *, reader: User) -> RatingQuerySet:
    """The ratings in one of `ORDERS`; each begins with what it names and goes on with the oldest.

    uncertain: its person changed their mind, or did what does not go with it (rated it up and asked for another
    reply, rated it down and copied it). disagreed: readers are divided, then what one has read. What the reader has
    skipped comes last.
    """
    skipped = ReviewLease.objects.filter(rating=OuterRef("pk"), reviewer=reader, skipped_at__isnull=False)
    ratings = ratings.alias(was_skipped=Exists(skipped))
    if order == "escalated":
        ratings = ratings.filter(Exists(Escalation.objects.filter(event=OuterRef("event"))))
    if order == "uncertain":
        ratings = ratings.alias(doubt=_doubt())
    if order == "disagreed":
        said = ReviewDecision.objects.filter(event=OuterRef("event"))
        sides = [count_of(said.filter(verdict=verdict)) for verdict in Rating.Verdict]
        ratings = ratings.alias(smaller_side=Least(*sides), n_said=count_of(said))
    first = {
        "newest": ("-rated_at",),
        "random": ("?",),
        "uncertain": ("-doubt",),
        "disagreed": ("-smaller_side", "-n_said"),
    }
    return ratings.order_by("was_skipped", *first.get(order, ()), "queued_at", "id")


def _doubt() -> Case:
    said_otherwise = FeedbackEvent.objects.filter(
        user=OuterRef("user"), message=OuterRef("message"), value=-Cast(OuterRef("value"), IntegerField())
    )
    did = ImplicitSignal.objects.filter(user=OuterRef("user"), message=OuterRef("message"))
    up_but = Q(value=1) & Exists(did.filter(kind__in=[Kind.REGENERATED, Kind.STOPPED, Kind.EDITED]))
    down_but = Q(value=-1) & Exists(did.filter(kind__in=[Kind.COPIED, Kind.SHARED]))
    return Case(When(Exists(said_otherwise) | up_but | down_but, then=Value(1)), default=Value(0))


def with_reason(ratings: RatingQuerySet, reason: str) -> RatingQuerySet:
    """Only those with this reason ticked; all for an empty one."""
    return ratings.filter(reasons__contains=[reason]) if reason else ratings
