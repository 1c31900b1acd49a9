"""Better answers: what people found alike, or both bad, waits for a reviewer who writes what would have been better.

A reviewer holds a comparison under a lease, so that no two write for the same one, and sees neither models nor people.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime

from django.db import transaction
from django.db.models import BooleanField, Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.turns import one_at_a_time
from chat.models import WITH_WORDS_OF_OTHERS, Message
from feedback.consent import COMPARISON_IN_FORCE
from feedback.leasing import LEASE, TRIES, NotGiven
from feedback.models import BetterAnswer, Comparison, WritingLease


class BadAnswer(ValueError):  # noqa: N818
    """An answer that cannot be taken; `str()` says why, in the reviewer's language."""


def open_to(reviewer: User, *, now: datetime) -> QuerySet[Comparison]:
    """Comparisons without a preference that wait for an answer and may be shown to this reviewer: never their own, and
    only while the person consents and keeps the conversation."""
    with_others = WritingLease.objects.filter(comparison=OuterRef("pk"), until__gte=now).exclude(reviewer=reviewer)
    waiting = Comparison.objects.filter(
        choice__in=BetterAnswer.CHOICES,
        question__conversation__deleted_at=None,
        question__conversation__is_temporary=False,
    )
    answered = BetterAnswer.objects.filter(comparison=OuterRef("pk"), choice=OuterRef("choice"))
    # Of one without words there is nothing that an answer could be better than.
    return (
        waiting.exclude(question__conversation__origin__in=WITH_WORDS_OF_OTHERS)
        .exclude(left__content="")
        .exclude(right__content="")
        .exclude(user=reviewer)
        .exclude(Exists(with_others) | Exists(answered))
        .filter(RawSQL(COMPARISON_IN_FORCE, [], output_field=BooleanField()))  # noqa: S611 - made of constants
    )


def waiting_for(reviewer: User, *, now: datetime) -> int:
    """How many wait for this reviewer."""
    return open_to(reviewer, now=now).count()


def next_comparison(*, reviewer: User, now: datetime) -> WritingLease | None:
    """One that waits, leased to the reviewer: the one they hold, else the oldest that they have not put aside."""
    with transaction.atomic():
        # Two pages that are opened together show the same, and nobody holds more than one.
        one_at_a_time(reviewer, what="feedback.better_answers")
        held = WritingLease.objects.filter(reviewer=reviewer, until__gte=now).order_by("until").first()
        if held and open_to(reviewer, now=now).filter(pk=held.comparison_id).exists():
            WritingLease.objects.filter(pk=held.pk).update(until=now + LEASE)
            return held
        mine = WritingLease.objects.filter(comparison=OuterRef("pk"), reviewer=reviewer).values("skipped_at")
        waiting = (
            open_to(reviewer, now=now)
            .annotate(put_aside_at=Subquery(mine))
            .order_by(F("put_aside_at").asc(nulls_first=True), "answered_at", "pk")
        )
        for _try in range(TRIES):
            comparison = waiting.select_for_update(skip_locked=True, of=("self",)).first()
            if comparison is None:
                return None
            # What was read before the lock may be old by now: asked again, it cannot change any more.
            if waiting.filter(pk=comparison.pk).exists():
                return _lease(comparison, reviewer, now)
    return None


def _lease(comparison: Comparison, reviewer: User, now: datetime) -> WritingLease:
    lease, _is_new = WritingLease.objects.update_or_create(
        comparison=comparison,
        reviewer=reviewer,
        defaults={"until": now + LEASE},
        create_defaults={"until": now + LEASE, "is_swapped": secrets.randbelow(2) == 1},
    )
    return lease


def shown(lease: WritingLease) -> tuple[Message, Message]:
    """The two replies in the order that was drawn for this reviewer."""
    left, right = lease.comparison.sides
    return (right, left) if lease.is_swapped else (left, right)


def write(
    *, comparison_id: uuid.UUID, reviewer: User, text: str, made_from: uuid.UUID | None = None, now: datetime
) -> BetterAnswer:
    """Keep the reviewer's answer; `made_from` is the reply that they began from.

    Raises `BadAnswer` where it says no more than a reply, or the comparison waits no longer, and `NotGiven`.
    """
    with transaction.atomic():
        comparison = _locked(comparison_id, reviewer)
        if not open_to(reviewer, now=now).filter(pk=comparison.pk).exists():
            raise BadAnswer(_("These replies wait for no better answer any more, or another reviewer is writing it."))
        text = text.strip()
        replies = {side.pk: side.content.strip() for side in comparison.sides}
        if not text:
            raise BadAnswer(_("Write an answer first, or skip."))
        if text in replies.values():
            raise BadAnswer(_("This is one of the two replies as it was. Change it, or skip."))
        if made_from not in (None, *replies):
            raise NotGiven
        WritingLease.objects.filter(comparison=comparison, reviewer=reviewer).update(until=now - LEASE)
        return BetterAnswer.objects.create(
            comparison=comparison,
            choice=comparison.choice,
            reviewer=reviewer,
            text=text,
            made_from=made_from,
            created_at=now,
        )


def _locked(comparison_id: uuid.UUID, reviewer: User) -> Comparison:
    given = Comparison.objects.filter(pk=comparison_id, writing_leases__reviewer=reviewer).exclude(user=reviewer)
    comparison = given.select_for_update(of=("self",)).select_related("left", "right").first()
    if comparison is None:
        raise NotGiven
    return comparison


def keep(*, comparison_id: uuid.UUID, reviewer: User, now: datetime) -> bool:
    """Whether the reviewer, who is still at it, keeps their place; not when it ran out and somebody else has it.

    Raises `NotGiven`.
    """
    with transaction.atomic():
        comparison = _locked(comparison_id, reviewer)
        if not open_to(reviewer, now=now).filter(pk=comparison.pk).exists():
            return False
        mine = WritingLease.objects.filter(comparison=comparison, reviewer=reviewer)
        return bool(mine.update(until=now + LEASE))


def skip(*, comparison_id: uuid.UUID, reviewer: User, now: datetime) -> None:
    """Put it aside, for another reviewer to take; it comes back to this one last. Raises `NotGiven`."""
    mine = WritingLease.objects.filter(comparison=comparison_id, reviewer=reviewer)
    if not mine.update(until=now - LEASE, skipped_at=now):
        raise NotGiven
