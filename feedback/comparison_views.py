"""Choosing between two replies: the answer, and one side as a fragment when its reply has ended."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from chat.views.requests import person
from feedback import comparing, pace
from feedback.forms import ComparisonForm
from feedback.models import Comparison


@login_required
@require_POST
def answer(request: HttpRequest, comparison_id: uuid.UUID) -> HttpResponse:
    """Take the choice and go back to the conversation."""
    user = person(request)
    comparison = get_object_or_404(Comparison.objects.select_related("question"), pk=comparison_id, user=user)
    form = ComparisonForm(request.POST)
    if too_fast := pace.refusal(request):
        messages.error(request, too_fast)
    elif form.is_valid():
        given = form.cleaned_data
        exposure = {name: given.pop(name) for name in comparing.MEASURED}
        try:
            comparing.answer(comparison_id=comparison_id, user=user, exposure=exposure, now=timezone.now(), **given)
        except comparing.BadChoice as refusal:
            messages.error(request, str(refusal))
        except Comparison.DoesNotExist as missing:
            raise Http404 from missing
        else:
            if given["choice"] != Comparison.Choice.SKIPPED:
                messages.success(request, _("Thank you. Your choice is kept."))
    else:
        messages.error(request, _("This choice could not be read. Reload the page and try again."))
    return redirect("conversation", comparison.question.conversation_id)


@login_required
@require_GET
def side(request: HttpRequest, comparison_id: uuid.UUID, name: str) -> HttpResponse:
    """One of the two replies, in the form it has on the page."""
    comparison = get_object_or_404(
        Comparison.objects.select_related("left__reply", "right__reply"), pk=comparison_id, user=person(request)
    )
    shown = comparison.left if name == "left" else comparison.right
    return render(request, "feedback/side.html", {"comparison": comparison, "name": name, "side": shown})
