"""Review: one reader at a time holds a rating under a lease, decides it, and the decision is never changed."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from feedback.models import Rating, ReviewDecision

LEASE = timedelta(minutes=10)


class BadDecision(ValueError):  # noqa: N818
    """A decision that cannot be taken; `str()` says why."""


def next_rating(*, reviewer: User, now: datetime) -> Rating | None:
    """The oldest rating that waits, leased to the reviewer; one they hold comes first. None when nothing waits."""
    with transaction.atomic():
        waiting = Rating.objects.awaiting_review(reviewer=reviewer, now=now).select_for_update(
            skip_locked=True, of=("self",)
        )
        rating = (
            waiting.filter(leased_by=reviewer, leased_until__gte=now).first() or waiting.order_by("queued_at").first()
        )
        if rating is None:
            return None
        rating.leased_by, rating.leased_until = reviewer, now + LEASE
        rating.save(update_fields=["leased_by", "leased_until"])
        return rating


def decide(
    *,
    rating_id: uuid.UUID,
    reviewer: User,
    verdict: str,
    ideal_text: str = "",
    event_id: uuid.UUID | None = None,
    now: datetime,
) -> ReviewDecision:
    """Approve or reject a rating; with an ideal answer an approved one becomes a pair.

    `event_id` is the opinion the reviewer was shown. Raises `BadDecision`, also when it is no longer the newest.
    """
    if verdict not in Rating.Verdict.values:
        raise BadDecision(_("Approve or reject."))
    with transaction.atomic():
        rating = Rating.objects.select_for_update(of=("self",)).filter(pk=rating_id).exclude(user=reviewer).first()
        if rating is None:
            raise BadDecision(_("This rating was withdrawn meanwhile."))
        if rating.leased_by_id not in (None, reviewer.pk) and rating.leased_until and rating.leased_until > now:
            raise BadDecision(_("Another reviewer is reading this one."))
        if rating.decided_event_id == rating.event_id:
            raise BadDecision(_("This rating is decided already."))
        if event_id not in (None, rating.event_id):
            raise BadDecision(_("This rating was changed meanwhile; read it again."))
        ideal = ideal_text.strip() if verdict == Rating.Verdict.APPROVED else ""
        rating.decided_event_id, rating.verdict, rating.ideal_text = rating.event_id, verdict, ideal
        rating.leased_by = rating.leased_until = None
        rating.save()
        return ReviewDecision.objects.create(
            event_id=rating.event_id,
            reviewer=reviewer,
            verdict=verdict,
            ideal_text=ideal,
            created_at=now,
        )


def skip(*, rating_id: uuid.UUID, reviewer: User, now: datetime) -> None:
    """Put it back at the end of one's own list, for another reviewer to take."""
    Rating.objects.filter(pk=rating_id, leased_by=reviewer).update(leased_by=None, leased_until=None, queued_at=now)
