"""Reviewers who were given what they decide, without going through the queue first."""

import uuid
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Permission

from accounts.models import User
from feedback import review
from feedback.leasing import LEASE
from feedback.models import Rating, ReviewDecision, ReviewLease
from tests import factories


def reader(*permissions: str) -> User:
    """Somebody who may review, and has these permissions besides."""
    user = factories.UserFactory()
    user.user_permissions.add(*Permission.objects.filter(codename__in=["review", *permissions]))
    return user


def readers(count: int) -> list[User]:
    return [reader() for _number in range(count)]


def give(*, rating_id: uuid.UUID, reviewer: User, now: datetime) -> None:
    """The reviewer holds the rating as it stands, as if the queue had given it; one they hold stays as it is."""
    for rating in Rating.objects.filter(pk=rating_id):
        given = {"event": rating.event, "until": now + LEASE, "taken_at": now}
        ReviewLease.objects.get_or_create(rating=rating, reviewer=reviewer, defaults=given)


def decide(*, rating_id: uuid.UUID, reviewer: User, now: datetime, **more: Any) -> ReviewDecision | None:
    """The decision of a reviewer who is given the rating."""
    give(rating_id=rating_id, reviewer=reviewer, now=now)
    return review.decide(rating_id=rating_id, reviewer=reviewer, now=now, **more)
