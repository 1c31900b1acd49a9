"""The verdict on a rating: that of its readers, once they are enough and not evenly divided."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from feedback.models import Escalation, Rating, ReviewDecision
from feedback.telling import tell_of_review

Verdict = Rating.Verdict


def settle(rating: Rating, *, now: datetime) -> bool:
    """Decide the rating if that can be done; call it with the rating locked. Of an escalated one the last word counts,
    which is that of somebody who may adjudicate."""
    needed = Rating.objects.with_readers().values_list("n_needed", flat=True).get(pk=rating.pk)  # type: ignore[misc]
    decisions = list(ReviewDecision.objects.filter(event_id=rating.event_id).order_by("id"))
    if Escalation.objects.filter(event_id=rating.event_id).exists():
        decisions = decisions[-1:]
    approvals = [one for one in decisions if one.verdict == Verdict.APPROVED]
    rejections = len(decisions) - len(approvals)
    if len(decisions) < needed or len(approvals) == rejections:
        return False
    _decide(rating, approvals if len(approvals) > rejections else [])
    tell_of_review(rating, now=now)
    return True


def _decide(rating: Rating, approvals: list[ReviewDecision]) -> None:
    better = [one for one in approvals if one.ideal_text]
    rating.decided_event_id = rating.event_id
    rating.verdict = Verdict.APPROVED if approvals else Verdict.REJECTED
    rating.ideal_text, rating.ideal_from = (better[-1].ideal_text, better[-1].ideal_from) if better else ("", None)
    rating.save(update_fields=["decided_event", "verdict", "ideal_text", "ideal_from"])


def settle_what_enough_have_read(*, now: datetime) -> int:
    """Decide what waits for readers that there are no more, and return how many: somebody left, or fewer are asked for.

    Not what was escalated: only who adjudicates has a say in that.
    """
    read = Rating.objects.filter(decided_event=None, event__escalation=None).with_readers()
    enough = read.filter(n_decisions__gte=F("n_needed"))  # type: ignore[misc] # both are of `with_readers`
    settled = 0
    for rating_id in list(enough.values_list("pk", flat=True)):
        with transaction.atomic():
            still = Rating.objects.select_for_update(of=("self",)).filter(pk=rating_id, decided_event=None).first()
            settled += still is not None and settle(still, now=now)
    return settled
