"""Review: readers hold a rating under a lease, decide it without seeing each other, and decisions are never changed.

Each rating is read by `REVIEW_READERS` people. Where they are evenly divided one more decides. The server sees to it
that never more people read a rating than it still needs.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import User
from feedback.models import Rating, ReviewDecision, ReviewLease
from feedback.telling import tell_of_review

LEASE = timedelta(minutes=10)
# Others may have taken what one wanted between looking and locking; after so many tries somebody else has it all.
TRIES = 20

ORDERS = {
    "oldest": ("queued_at", "id"),
    "newest": ("-queued_at", "id"),
    "random": ("?",),
    "disagreed": ("-n_decisions", "queued_at"),
}


class BadDecision(ValueError):  # noqa: N818
    """A decision that cannot be taken; `str()` says why."""


def next_rating(*, reviewer: User, now: datetime, order: str = "oldest") -> Rating | None:
    """A rating that still needs a reader, leased to the reviewer; one they hold comes first. None when nothing waits.

    `order` is one of `ORDERS`: "disagreed" begins with what others have read already.
    """
    held = _held(reviewer, now)
    if held is not None:
        return held
    for _try in range(TRIES):
        with transaction.atomic():
            open_ratings = Rating.objects.awaiting_review(reviewer=reviewer, now=now).order_by(*ORDERS[order])
            rating = _first_locked(open_ratings)
            if rating is None:
                return None
            # What was read before the lock may be old by now: asked again, it cannot change any more.
            if open_ratings.filter(pk=rating.pk).exists():
                ReviewLease.objects.update_or_create(
                    rating=rating, reviewer=reviewer, defaults={"event": rating.event, "until": now + LEASE}
                )
                return rating
    return None


def _held(reviewer: User, now: datetime) -> Rating | None:
    lease = (
        ReviewLease.objects.filter(reviewer=reviewer, until__gte=now).select_related("rating").order_by("until").first()
    )
    if lease is None or not Rating.objects.awaiting_review(reviewer=reviewer, now=now).filter(pk=lease.rating_id):
        return None
    ReviewLease.objects.filter(pk=lease.pk).update(until=now + LEASE)
    return lease.rating


def _first_locked(ratings: QuerySet[Rating]) -> Rating | None:
    return ratings.select_for_update(skip_locked=True, of=("self",)).first()


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

    The rating is decided when enough readers were of one mind, or one more broke the tie. `event_id` is the opinion the
    reviewer was shown. Raises `BadDecision`, also when it is no longer the newest.
    """
    if verdict not in Rating.Verdict.values:
        raise BadDecision(_("Approve or reject."))
    with transaction.atomic():
        rating = Rating.objects.select_for_update(of=("self",)).filter(pk=rating_id).exclude(user=reviewer).first()
        if rating is None:
            raise BadDecision(_("This rating was withdrawn meanwhile."))
        if rating.decided_event_id == rating.event_id:
            raise BadDecision(_("This rating is decided already."))
        if event_id not in (None, rating.event_id):
            raise BadDecision(_("This rating was changed meanwhile; read it again."))
        if not Rating.objects.needing_reader(reviewer=reviewer, now=now).filter(pk=rating.pk).exists():
            raise BadDecision(_("Another reviewer is reading this one."))
        decision = _record(rating, reviewer, verdict, ideal_text, now)
        ReviewLease.objects.filter(rating=rating, reviewer=reviewer).delete()
        if _settle(rating):
            tell_of_review(rating, now=now)
        return decision


def _record(rating: Rating, reviewer: User, verdict: str, ideal_text: str, now: datetime) -> ReviewDecision:
    ideal = ideal_text.strip() if verdict == Rating.Verdict.APPROVED else ""
    try:
        with transaction.atomic():
            return ReviewDecision.objects.create(
                event_id=rating.event_id, reviewer=reviewer, verdict=verdict, ideal_text=ideal, created_at=now
            )
    except IntegrityError as twice:
        raise BadDecision(_("You have decided this one already.")) from twice


def _settle(rating: Rating) -> bool:
    """The verdict of the readers, once there are enough of them and they are not evenly divided; else False."""
    decisions = list(ReviewDecision.objects.filter(event_id=rating.event_id).order_by("created_at", "id"))
    approvals = [one for one in decisions if one.verdict == Rating.Verdict.APPROVED]
    rejections = len(decisions) - len(approvals)
    if len(decisions) < settings.REVIEW_READERS or len(approvals) == rejections:
        return False
    is_approved = len(approvals) > rejections
    rating.decided_event_id = rating.event_id
    rating.verdict = Rating.Verdict.APPROVED if is_approved else Rating.Verdict.REJECTED
    ideals = [one.ideal_text for one in approvals if one.ideal_text]
    rating.ideal_text = ideals[-1] if is_approved and ideals else ""
    rating.save(update_fields=["decided_event", "verdict", "ideal_text"])
    return True


def skip(*, rating_id: uuid.UUID, reviewer: User, now: datetime) -> None:
    """Give it back, for another reviewer to take; it goes to the end of the queue."""
    given_back, _rows = ReviewLease.objects.filter(rating=rating_id, reviewer=reviewer).delete()
    if given_back:
        Rating.objects.filter(pk=rating_id).update(queued_at=now)
