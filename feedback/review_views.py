"""Reviewing ratings: the next one, with all that belongs to it, and what is decided about it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import User
from chat import tree
from chat.views.requests import person
from feedback import better_answers, correcting, grading, ideals, reasons, review, sampling
from feedback.forms import DecisionForm
from feedback.leasing import NotGiven
from feedback.models import Rating
from feedback.models.ratings import ADJUDICATE


@login_required
@permission_required("feedback.review", raise_exception=True)
def review_queue(request: HttpRequest) -> HttpResponse:
    """The next rating to decide, with the whole conversation in view."""
    reviewer, now = person(request), timezone.now()
    may_adjudicate = reviewer.has_perm(ADJUDICATE)
    orders = [key for key in sampling.ORDERS if may_adjudicate or key != "escalated"]
    order = request.GET.get("order", sampling.DEFAULT)
    order = order if order in orders else sampling.DEFAULT
    reason = request.GET.get("reason", "")
    reason = reason if reason in reasons.DOWN | reasons.UP else ""
    rating = review.next_rating(reviewer=reviewer, now=now, order=order, reason=reason)
    context = {
        "rating": rating,
        "waiting": review.waiting_for(reviewer, now) if rating else 0,
        "most_counted": review.MOST_COUNTED,
        "better_answers_waiting": better_answers.waiting_for(reviewer, now=now),
        "orders": [
            {"label": sampling.ORDERS[key], "url": _address(key, reason), "current": key == order} for key in orders
        ],
        "order": order,
        "reason": reason,
        "reasons": (reasons.DOWN | reasons.UP).items(),
        "may_adjudicate": may_adjudicate,
        "was_given_before": rating is not None and _was_given_before(rating, reviewer, order=order, reason=reason),
        **(_shown(rating, reviewer, may_adjudicate=may_adjudicate) if rating else {}),
    }
    return render(request, "feedback/review.html", context)


def _was_given_before(rating: Rating, reviewer: User, *, order: str, reason: str) -> bool:
    """Whether the reader holds it from another order, or it is not with the reason that they chose since."""
    drawn_by = rating.leases.filter(reviewer=reviewer).values_list("drawn_by", flat=True).first() or ""
    return drawn_by.partition(":")[0] not in (order, review.SLICE) or bool(reason and reason not in rating.reasons)


def _shown(rating: Rating, reviewer: User, *, may_adjudicate: bool) -> dict[str, Any]:
    path = tree.path_messages(conversation_id=rating.message.conversation_id, leaf_id=rating.message_id)
    return {
        "told": path[-1].reply.system_prompt,
        "messages_before": path[:-1],
        "reply_message": path[-1],
        "corrections": correcting.standing(path[-1]),
        "siblings": ideals.siblings_as_shown(rating, reader=reviewer),
        # What a gold item was once escalated with would tell others what it is, and what its reader thought.
        "escalation": getattr(rating.event, "escalation", None) if may_adjudicate else None,
        "aspects": grading.ASPECTS.items(),
        "grades": grading.GRADES,
    }


@login_required
@permission_required("feedback.review", raise_exception=True)
@require_POST
def decide(request: HttpRequest, rating_id: uuid.UUID) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Approve, reject, escalate or skip."))
        return redirect("review")
    given = form.cleaned_data
    whose: dict[str, Any] = {"rating_id": rating_id, "reviewer": person(request), "now": timezone.now()}
    try:
        if given["verdict"] == "skip":
            review.skip(**whose)
        elif given["verdict"] == "escalate":
            review.escalate(**whose, note=given["note"], event_id=given["event_id"])
            messages.success(request, _("Left to somebody who decides such ones."))
        else:
            review.decide(
                **whose,
                verdict=given["verdict"],
                ideal_text=given["ideal_text"],
                ideal_from=given["ideal_from"],
                remarks=form.remarks,
                is_gold=given["is_gold"],
                event_id=given["event_id"],
            )
            messages.success(request, _("Decided."))
    except NotGiven as nothing:
        raise Http404 from nothing
    except review.BadDecision as refusal:
        messages.error(request, str(refusal))
    return redirect(reverse("review") + _address(given["order"], given["reason"]))


@login_required
@permission_required("feedback.review", raise_exception=True)
@require_POST
def keep(request: HttpRequest, rating_id: uuid.UUID) -> HttpResponse:
    """Told by the page while its reader writes; 409 when the rating is theirs no more."""
    return kept(lambda: review.keep(rating_id=rating_id, reviewer=person(request), now=timezone.now()))


def kept(keep_place: Callable[[], bool]) -> HttpResponse:
    """What a page is told whose reader keeps their place: 409 when it is theirs no more, 404 when it never was."""
    try:
        is_kept = keep_place()
    except NotGiven as nothing:
        raise Http404 from nothing
    return HttpResponse(status=HTTPStatus.NO_CONTENT if is_kept else HTTPStatus.CONFLICT)


def _address(order: str, reason: str) -> str:
    return "?" + urlencode({"order": order or sampling.DEFAULT} | ({"reason": reason} if reason else {}))
