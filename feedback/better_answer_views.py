"""Writing better answers: the next two replies that nobody preferred, and what is written instead of them."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from chat import tree
from chat.views.requests import person
from feedback import better_answers
from feedback.forms import BetterAnswerForm
from feedback.leasing import NotGiven
from feedback.models import Comparison
from feedback.review_views import kept


@login_required
@permission_required("feedback.review", raise_exception=True)
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """The next two replies, with the conversation above them in view."""
    reviewer, now = person(request), timezone.now()
    lease = better_answers.next_comparison(reviewer=reviewer, now=now)
    context: dict[str, Any] = {"waiting": better_answers.waiting_for(reviewer, now=now) if lease else 0}
    if lease:
        comparison = lease.comparison
        path = tree.path_messages(conversation_id=comparison.left.conversation_id, leaf_id=comparison.left_id)
        context |= {
            "comparison": comparison,
            "are_bad": comparison.choice == Comparison.Choice.NEITHER,
            "told": path[-1].reply.system_prompt,
            "messages_before": path[:-1],
            "replies": better_answers.shown(lease),
        }
    return render(request, "feedback/better_answers.html", context)


@login_required
@permission_required("feedback.review", raise_exception=True)
@require_POST
def write(request: HttpRequest, comparison_id: uuid.UUID) -> HttpResponse:
    """Keep what was written, or with `action` skip put the two aside."""
    form = BetterAnswerForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Write an answer first, or skip."))
        return redirect("better-answers")
    given, reviewer, now = form.cleaned_data, person(request), timezone.now()
    try:
        if given["action"] == "skip":
            better_answers.skip(comparison_id=comparison_id, reviewer=reviewer, now=now)
        else:
            better_answers.write(
                comparison_id=comparison_id,
                reviewer=reviewer,
                text=given["text"],
                made_from=given["made_from"],
                now=now,
            )
            messages.success(request, _("Kept."))
    except NotGiven as nothing:
        raise Http404 from nothing
    except better_answers.BadAnswer as refusal:
        messages.error(request, str(refusal))
    return redirect("better-answers")


@login_required
@permission_required("feedback.review", raise_exception=True)
@require_POST
def keep(request: HttpRequest, comparison_id: uuid.UUID) -> HttpResponse:
    """Told by the page while its reader writes; 409 when the two wait for them no more."""
    return kept(lambda: better_answers.keep(comparison_id=comparison_id, reviewer=person(request), now=timezone.now()))
