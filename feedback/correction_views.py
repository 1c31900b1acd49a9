"""Correcting a reply: the form in the rating widget."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from chat.models import Message
from chat.views.requests import is_fetch, person
from feedback import correcting, pace
from feedback.capture import BadRating
from feedback.forms import CorrectionForm
from feedback.models import Correction, Rating
from feedback.templatetags.feedback import widget_context
from feedback.views import event_of, own_reply, status_of


@login_required
@require_POST
def correct(request: HttpRequest, message_id: uuid.UUID) -> HttpResponse:
    """Keep what the form says; answers the widget as a fragment, or goes back to the conversation."""
    message = own_reply(request, message_id)
    form, error, unplaced = CorrectionForm(request.POST), "", ""
    if too_fast := pace.refusal(request):
        error = too_fast
    elif form.is_valid():
        try:
            given = dict(form.cleaned_data)
            event_id = event_of(given.pop("client_event_id"), *given.values())
            correction = correcting.correct(
                user=person(request), message=message, client_event_id=event_id, now=timezone.now(), **given
            )
            unplaced = "" if correction.is_placed else _unplaced()
        except BadRating as refusal:
            error = str(refusal)
    else:
        error = _("This correction could not be read. Reload the page and try again.")
    return _answer(request, message, error, too_fast=too_fast, unplaced=unplaced)


@login_required
@require_POST
def withdraw(request: HttpRequest, correction_id: uuid.UUID) -> HttpResponse:
    correction = get_object_or_404(Correction, pk=correction_id, user=person(request))
    too_fast = pace.refusal(request)
    if not too_fast:
        correction = correcting.withdraw(user=person(request), correction_id=correction_id, now=timezone.now())
    return _answer(request, correction.message, too_fast, too_fast=too_fast)


def _unplaced() -> str:
    return _(
        "Your correction is kept, and reviewers see it. Only which place in the reply is meant is not known."
        " Mark a longer piece to say which."
    )


def _answer(
    request: HttpRequest, message: Message, error: str, *, too_fast: str = "", unplaced: str = ""
) -> HttpResponse:
    if is_fetch(request):
        rating = Rating.objects.with_consent().filter(user=person(request), message=message).first()
        context = widget_context(message, rating=rating, corrections=correcting.standing(message))
        given = {"correction_error": error, "given": request.POST if error else {}, "unplaced": unplaced}
        status = status_of(error, too_fast=too_fast)
        return render(request, "feedback/widget.html", {**context, **given}, status=status)
    if error:
        messages.error(request, error)
    elif unplaced:
        messages.warning(request, unplaced)
    return redirect(f"{reverse('conversation', args=[message.conversation_id])}?at={message.pk}#m-{message.pk}")
