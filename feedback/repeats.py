"""Ratings that a reader is given a second time, long after they decided them: how often do they say the same again?"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import User
from feedback.models import Rating, RatingQuerySet, RepeatAnswer, ReviewDecision

# Who remembers what they said does not show how steady their judgement is.
REPEAT_AFTER = timedelta(days=7)


def open_to(reviewer: User, *, now: datetime) -> RatingQuerySet:
    """What the reader is to decide again, with consent as it stands: of what they decided a week ago or earlier
    `REVIEW_REPEAT_SHARE`, by lot, and each once. Nothing that was escalated, which is seen.
    """
    # The other end of the lot is drawn for more readers.
    drawn = Rating.objects.may_be_read().filter(lot__gte=1 - settings.REVIEW_REPEAT_SHARE, event__escalation=None)
    return drawn.exclude(decided_event=None).filter(
        Exists(_first_said(reviewer, now).filter(event=OuterRef("event"), repeat=None))
    )


def answer(*, rating: Rating, reviewer: User, verdict: str, now: datetime) -> bool:
    """Keep what the reader says this time; False when it is nothing that they are to decide again."""
    if not open_to(reviewer, now=now).filter(pk=rating.pk).exists():
        return False
    decision = _first_said(reviewer, now).get(event=rating.event_id)
    try:
        with transaction.atomic():
            RepeatAnswer.objects.create(decision=decision, verdict=verdict, created_at=now)
    except IntegrityError:
        return False
    return True


def _first_said(reviewer: User, now: datetime) -> QuerySet[ReviewDecision]:
    return ReviewDecision.objects.filter(reviewer=reviewer, created_at__lte=now - REPEAT_AFTER)
