"""Review: readers hold a rating under a lease, decide it without seeing each other, and decisions are never changed.

A rating is read by one person, or by `REVIEW_READERS` (feedback/models/readers.py says which). Where they are evenly
divided one more decides. The server sees to it that never more people read a rating than it still needs, and that
nobody decides one they were not given. Among what a reader is given are a random slice, whatever order they chose (so
that rates can be told of all ratings), and gold items and what they decided before, which look like any other.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.turns import one_at_a_time
from feedback import gold, grading, ideals, repeats, sampling
from feedback.leasing import LEASE, TRIES, NotGiven
from feedback.models import Escalation, FeedbackEvent, GoldAnswer, Rating, RatingQuerySet, ReviewDecision, ReviewLease
from feedback.models.ratings import ADJUDICATE
from feedback.models.reviews import MAX_NOTE_CHARACTERS
from feedback.settling import settle

# Of so many ratings it is asked at first whether they wait, then of more, then of all.
FEW = (100, 10_000, None)
# Nobody reads more than these in a sitting: whether there are twice as many is not worth counting them at each page.
MOST_COUNTED = 1_000
# How what was drawn at random is called, whatever order its reader chose.
SLICE = "slice"


class BadDecision(ValueError):  # noqa: N818
    """A decision that cannot be taken; `str()` says why."""


@dataclass(frozen=True)
class Remarks:
    """What a reader may add to a verdict. Grades are 1 to 5 by aspect; both are kept with the decision."""

    grades: Mapping[str, int] = field(default_factory=dict)
    tags: Sequence[str] = ()


@dataclass(frozen=True)
class Ideal:
    """A better answer, and the reply or correction that it was made from, if from one."""

    text: str = ""
    source: uuid.UUID | None = None


def next_rating(*, reviewer: User, now: datetime, order: str = sampling.DEFAULT, reason: str = "") -> Rating | None:
    """A rating that still needs a reader, leased to the reviewer; one they hold comes first. None when nothing waits.

    `order` is one of `sampling.ORDERS`; `reason` leaves only ratings with that reason ticked.
    """
    with transaction.atomic():
        # Two pages that are opened together show the same, and nobody holds more than one.
        one_at_a_time(reviewer, what="feedback.review")
        held = _held(reviewer, now)
        if held is not None:
            return held
        is_random = order != "escalated" and _drawn(settings.REVIEW_RANDOM_SHARE)
        drawn_by = _how_drawn(SLICE if is_random else order, reason)
        waiting = sampling.with_reason(Rating.objects.awaiting_review(reviewer=reviewer, now=now), reason)
        for _try in range(TRIES):
            rating = _first_locked(waiting, "random" if is_random else order, reason, reviewer)
            if rating is None:
                return None
            if known := _known_instead(reviewer, now, order, reason):
                return _lease(known, reviewer, now, drawn_by)
            # What was read before the lock may be old by now: asked again, it cannot change any more.
            if waiting.filter(pk=rating.pk).exists():
                return _lease(rating, reviewer, now, drawn_by)
    return None


def _first_locked(waiting: RatingQuerySet, order: str, reason: str, reviewer: User) -> Rating | None:
    """The first of those that wait, in this order, which nobody else is taking at this moment.

    To know of a rating whether it waits costs much more than to know its place in the order. So it is asked of the few
    that come first, and only where none of them does of more.
    """
    coming = sampling.ordered(sampling.with_reason(Rating.objects.open_to(reviewer), reason), order, reader=reviewer)
    for few in FEW:
        found = sampling.ordered(waiting.filter(pk__in=coming.values("pk")[:few]), order, reader=reviewer)
        if rating := found.select_for_update(skip_locked=True, of=("self",)).first():
            return rating
    return None


def _how_drawn(order: str, reason: str) -> str:
    """The order, and the reason where one was chosen: what was drawn among those that have it speaks of no others."""
    return f"{order}:{reason}" if reason else order


def _held(reviewer: User, now: datetime) -> Rating | None:
    # A lease is of one opinion: of a newer one they have no place yet, and others may have it.
    mine = ReviewLease.objects.filter(reviewer=reviewer, until__gte=now, event=F("rating__event"))
    lease = mine.order_by("until").first()
    if lease is None:
        return None
    # Locked: a place that runs out at this moment is kept, or somebody else's, and not both.
    rating = Rating.objects.select_for_update(of=("self",)).filter(pk=lease.rating_id).first()
    if rating is None or not _may_read(rating, reviewer, now):
        return None
    ReviewLease.objects.filter(pk=lease.pk).update(until=now + LEASE)
    return rating


def _may_read(rating: Rating, reviewer: User, now: datetime) -> bool:
    waiting = Rating.objects.awaiting_review(reviewer=reviewer, now=now)
    return waiting.filter(pk=rating.pk).exists() or _is_known(rating, reviewer, now)


def _known(reviewer: User, now: datetime) -> list[tuple[float, RatingQuerySet]]:
    """What is decided already and measures the reader, with the share that it is of what they are given."""
    return [
        (settings.REVIEW_GOLD_SHARE, gold.open_to(reviewer)),
        (settings.REVIEW_REPEAT_SHARE, repeats.open_to(reviewer, now=now)),
    ]


def _is_known(rating: Rating, reviewer: User, now: datetime) -> bool:
    return any(items.filter(pk=rating.pk).exists() for _share, items in _known(reviewer, now))


def _known_instead(reviewer: User, now: datetime, order: str, reason: str) -> Rating | None:
    """One that does not give itself away: among others that wait, with the reason asked for, and once."""
    if order == "escalated":
        return None
    put_aside = ReviewLease.objects.filter(rating=OuterRef("pk"), reviewer=reviewer, skipped_at__isnull=False)
    drawn = (items for share, items in _known(reviewer, now) if _drawn(share))
    found = (sampling.with_reason(items, reason).exclude(Exists(put_aside)).order_by("?").first() for items in drawn)
    return next(filter(None, found), None)


def waiting_for(reviewer: User, now: datetime) -> int:
    """How many ratings wait for this reader; any number above `MOST_COUNTED` says that there are more than that.

    What is decided counts like any other, or the number would tell it.
    """
    hidden = sum(items.count() for share, items in _known(reviewer, now) if share)
    return Rating.objects.awaiting_review(reviewer=reviewer, now=now)[: MOST_COUNTED + 1].count() + hidden


def _drawn(share: float) -> bool:
    return secrets.randbelow(1_000_000) < share * 1_000_000


def _lease(rating: Rating, reviewer: User, now: datetime, drawn_by: str) -> Rating:
    ReviewLease.objects.update_or_create(
        rating=rating,
        reviewer=reviewer,
        defaults={"event": rating.event, "until": now + LEASE, "taken_at": now, "drawn_by": drawn_by},
    )
    return rating


def decide(
    *,
    rating_id: uuid.UUID,
    reviewer: User,
    verdict: str,
    ideal_text: str = "",
    ideal_from: uuid.UUID | None = None,
    remarks: Remarks | None = None,
    is_gold: bool = False,
    event_id: uuid.UUID | None = None,
    now: datetime,
) -> ReviewDecision | None:
    """Approve or reject a rating; with an ideal answer an approved one becomes a pair. None where that decides nothing
    and measures the reader: of a gold item, or of what they decided before.

    The rating is decided when enough readers were of one mind, or one more broke the tie, or by one who may
    adjudicate and was left an escalated one; `is_gold` keeps their verdict as a gold item. `event_id` is the opinion
    the reviewer was shown, `ideal_from` the other reply or the correction that their answer was made from. Raises
    `BadDecision`, also when that opinion is no longer the newest, and `NotGiven`.
    """
    if verdict not in Rating.Verdict.values:
        raise BadDecision(_("Approve or reject."))
    remarks = remarks or Remarks()
    if not grading.are_grades(remarks.grades):
        raise BadDecision(_("Grades go from 1 to 5."))
    with transaction.atomic():
        rating = _locked(rating_id, reviewer)
        if event_id not in (None, rating.event_id):
            raise BadDecision(_("This rating was changed meanwhile; read it again."))
        _check_given(rating, reviewer)
        said: dict[str, Any] = {"rating": rating, "reviewer": reviewer, "verdict": verdict, "now": now}
        if gold.answer(**said) or repeats.answer(**said):
            ReviewLease.objects.filter(rating=rating, reviewer=reviewer).delete()
            return None
        _check_place(rating, reviewer, now)
        ideal = _ideal(rating, verdict, ideal_text, ideal_from)
        decision = _record(rating, reviewer, verdict, ideal, remarks, now)
        ReviewLease.objects.filter(rating=rating, reviewer=reviewer).delete()
        if is_gold and reviewer.has_perm(ADJUDICATE):
            gold.make(rating=rating, verdict=verdict, made_by=reviewer, now=now)
        settle(rating, now=now)
        return decision


def _locked(rating_id: uuid.UUID, reviewer: User) -> Rating:
    rating = Rating.objects.select_for_update(of=("self",)).filter(pk=rating_id).exclude(user=reviewer).first()
    if not _was_given(rating_id, reviewer):
        raise NotGiven
    if rating is None:
        raise BadDecision(_("This rating was withdrawn meanwhile."))
    return rating


def _was_given(rating_id: uuid.UUID, reviewer: User) -> bool:
    """Whether the reader holds or held it, or has said something about it."""
    if ReviewLease.objects.filter(rating=rating_id, reviewer=reviewer).exists():
        return True
    # Deciding ends the lease.
    its_own = Rating.objects.filter(pk=rating_id, message=OuterRef("message"), user=OuterRef("user"))
    events = FeedbackEvent.objects.filter(Exists(its_own))
    return (
        ReviewDecision.objects.filter(event__in=events, reviewer=reviewer).exists()
        or GoldAnswer.objects.filter(item__event__in=events, reviewer=reviewer).exists()
    )


def _check_given(rating: Rating, reviewer: User) -> None:
    """Nobody picks what they decide. Who was too slow may still decide what they read, where a place is left."""
    if ReviewLease.objects.filter(rating=rating, reviewer=reviewer, event=rating.event_id).exists():
        return
    mine = {"event": rating.event_id, "reviewer": reviewer}
    # A gold item that was answered says the same, or the two would be told apart by it.
    answered = GoldAnswer.objects.filter(item__event=rating.event_id, reviewer=reviewer)
    if ReviewDecision.objects.filter(**mine).exists() or answered.exists():
        raise BadDecision(_("You have decided this one already."))
    raise NotGiven


def _check_place(rating: Rating, reviewer: User, now: datetime) -> None:
    if rating.decided_event_id == rating.event_id:
        raise BadDecision(_("This rating is decided already."))
    if not Rating.objects.needing_reader(reviewer=reviewer, now=now).filter(pk=rating.pk).exists():
        raise BadDecision(_("Another reviewer is reading this one."))


def escalate(*, rating_id: uuid.UUID, reviewer: User, note: str = "", event_id: uuid.UUID, now: datetime) -> None:
    """Leave it to somebody who may adjudicate; nobody else is given it any more. Raises `BadDecision` and
    `NotGiven`.

    Escalating a gold item, or what they decided before, is no answer to it: it is put aside.
    """
    with transaction.atomic():
        rating = _locked(rating_id, reviewer)
        if event_id != rating.event_id:
            raise BadDecision(_("This rating was changed meanwhile; read it again."))
        _check_given(rating, reviewer)
        if not _is_known(rating, reviewer, now):
            _check_place(rating, reviewer, now)
            Escalation.objects.get_or_create(
                event_id=rating.event_id,
                defaults={"reviewer": reviewer, "note": note.strip()[:MAX_NOTE_CHARACTERS], "created_at": now},
            )
            # Who reads it beside them cannot decide it any more: their place is that of who adjudicates.
            ReviewLease.objects.filter(event=rating.event_id).update(until=now - LEASE)
        ReviewLease.objects.filter(rating=rating, reviewer=reviewer).update(until=now - LEASE, skipped_at=now)


def _ideal(rating: Rating, verdict: str, text: str, named: uuid.UUID | None) -> Ideal:
    """What is kept of a better answer: nothing with another verdict than approval."""
    if verdict != Rating.Verdict.APPROVED:
        return Ideal()
    text = text.strip()
    try:
        return Ideal(text, ideals.source_of(rating=rating, text=text, named=named))
    except LookupError as gone:
        raise BadDecision(_("The better answer comes from what may not be used any more. Read it again.")) from gone


def _record(
    rating: Rating, reviewer: User, verdict: str, ideal: Ideal, remarks: Remarks, now: datetime
) -> ReviewDecision:
    lease = ReviewLease.objects.filter(rating=rating, reviewer=reviewer, event=rating.event_id).first()
    try:
        with transaction.atomic():
            return ReviewDecision.objects.create(
                event_id=rating.event_id,
                reviewer=reviewer,
                verdict=verdict,
                ideal_text=ideal.text,
                ideal_from=ideal.source,
                grades=dict(remarks.grades),
                tags=list(remarks.tags)[: grading.MOST_TAGS],
                drawn_by=lease.drawn_by if lease else "",
                took_ms=max(0, (now - lease.taken_at) // timedelta(milliseconds=1)) if lease else None,
                created_at=now,
            )
    except IntegrityError as twice:
        raise BadDecision(_("You have decided this one already.")) from twice


def keep(*, rating_id: uuid.UUID, reviewer: User, now: datetime) -> bool:
    """Whether the reviewer, who is still at it, keeps their place; not when it ran out and somebody else has it.

    Raises `NotGiven`.
    """
    with transaction.atomic():
        rating = Rating.objects.select_for_update(of=("self",)).filter(pk=rating_id).first()
        if not _was_given(rating_id, reviewer):
            raise NotGiven
        if rating is None or not _may_read(rating, reviewer, now):
            return False
        mine = ReviewLease.objects.filter(rating=rating, reviewer=reviewer, event=rating.event_id)
        return bool(mine.update(until=now + LEASE))


def skip(*, rating_id: uuid.UUID, reviewer: User, now: datetime) -> None:
    """Give it back, for another reviewer to take; it goes to the end of the queue, of this reader's above all.

    Raises `NotGiven`.
    """
    if not _was_given(rating_id, reviewer):
        raise NotGiven
    mine = ReviewLease.objects.filter(rating=rating_id, reviewer=reviewer)
    if mine.update(until=now - LEASE, skipped_at=now):
        Rating.objects.filter(pk=rating_id).update(queued_at=now)
