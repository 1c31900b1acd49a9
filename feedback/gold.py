"""Gold items: ratings whose right verdict is known, mixed in among the others, so that readers can be measured."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from accounts.models import User
from feedback.models import GoldAnswer, GoldItem, Rating, RatingQuerySet, ReviewDecision


def make(*, rating: Rating, verdict: str, made_by: User, now: datetime) -> GoldItem:
    """Keep the verdict as the right one; the first stays."""
    item, _is_new = GoldItem.objects.get_or_create(
        event_id=rating.event_id, defaults={"verdict": verdict, "made_by": made_by, "created_at": now}
    )
    return item


def open_to(reviewer: User) -> RatingQuerySet:
    """Decided ratings that are gold items and that the reader has not seen, with consent as it stands."""
    items = GoldItem.objects.filter(event=OuterRef("event")).exclude(made_by=reviewer)
    return (
        Rating.objects.may_be_read()
        .exclude(decided_event=None)
        .exclude(user=reviewer)
        .filter(Exists(items))
        .exclude(Exists(ReviewDecision.objects.filter(event=OuterRef("event"), reviewer=reviewer)))
        .exclude(Exists(GoldAnswer.objects.filter(item__event=OuterRef("event"), reviewer=reviewer)))
    )


def answer(*, rating: Rating, reviewer: User, verdict: str, now: datetime) -> bool:
    """Keep what the reader said about a gold item that is open to them; False when it is none."""
    if not open_to(reviewer).filter(pk=rating.pk).exists():
        return False
    item = GoldItem.objects.get(event_id=rating.event_id)
    try:
        with transaction.atomic():
            GoldAnswer.objects.create(item=item, reviewer=reviewer, verdict=verdict, created_at=now)
    except IntegrityError:
        return False
    return True
