"""Choosing between two replies: the answer, its withdrawal, and one side as a fragment when its reply has ended."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from chat.views.requests import id_or_none, person
from feedback import allowing, comparing, pace
from feedback.forms import ComparisonForm
from feedback.models import Comparison
from feedback.views import event_of, take_wish, tell_of_wish


@login_required
@require_POST
def answer(request: HttpRequest, comparison_id: uuid.UUID) -> HttpResponse:
    """Take the choice, or another one in place of it, and go back to the conversation."""
    comparison = _own(request, comparison_id)
    form = ComparisonForm(request.POST)
    if too_fast := pace.refusal(request):
        messages.error(request, too_fast)
    elif form.is_valid():
        given = form.cleaned_data
        exposure = {name: given.pop(name) for name in comparing.MEASURED}
        if form_id := given.pop("client_event_id"):
            given["client_event_id"] = event_of(form_id, *given.values())
        try:
            comparing.answer(
                comparison_id=comparison_id, user=person(request), exposure=exposure, now=timezone.now(), **given
            )
        except comparing.BadChoice as refusal:
            messages.error(request, str(refusal))
        else:
            if given["choice"] != Comparison.Choice.SKIPPED:
                messages.success(request, _("Thank you. Your choice is kept."))
    else:
        messages.error(request, _("This choice could not be read. Reload the page and try again."))
    return _back_to(comparison)


@login_required
@require_POST
def withdraw(request: HttpRequest, comparison_id: uuid.UUID) -> HttpResponse:
    """Take the answer back."""
    comparison = _own(request, comparison_id)
    if too_fast := pace.refusal(request):
        messages.error(request, too_fast)
    else:
        event_id = id_or_none(request.POST.get("client_event_id"))
        mine: dict[str, Any] = {"comparison_id": comparison_id, "user": person(request)}
        try:
            stands = comparing.withdraw(**mine, client_event_id=event_id, now=timezone.now()).is_answered
        except comparing.BadChoice as refusal:
            messages.error(request, str(refusal))
        else:
            if not stands:  # a page that the browser kept takes back nothing newer
                messages.success(request, _("Your choice is taken back."))
    return _back_to(comparison)


@login_required
@require_POST
def allow_use(request: HttpRequest, comparison_id: uuid.UUID) -> HttpResponse:
    """Whether training may use one comparison, whatever the person says of the conversation."""
    comparison = _own(request, comparison_id)
    tell_of_wish(request, take_wish(request, allowing.of_comparison(comparison)))
    return _back_to(comparison)


@login_required
@require_GET
def side(request: HttpRequest, comparison_id: uuid.UUID, name: str) -> HttpResponse:
    """One of the two replies, in the form it has on the page."""
    comparison = _own(request, comparison_id)
    shown = {"left": comparison.left, "right": comparison.right}.get(name)
    if shown is None:
        raise Http404
    return render(request, "feedback/side.html", {"comparison": comparison, "name": name, "side": shown})


def _own(request: HttpRequest, comparison_id: uuid.UUID) -> Comparison:
    mine = Comparison.objects.of(person(request)).for_pages().select_related("question__conversation", "user")
    return get_object_or_404(mine, pk=comparison_id)


def _back_to(comparison: Comparison) -> HttpResponse:
    """To the end of the conversation, where the two replies stand; to them where it has gone on."""
    address = reverse("conversation", args=[comparison.question.conversation_id])
    if not comparing.has_gone_on(comparison):
        return redirect(address)
    question = comparison.question_id
    return redirect(f"{address}?near={question}#m-{question}")
