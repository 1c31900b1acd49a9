"""Rating a reply on its page."""

from __future__ import annotations

import json
import uuid
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import User
from chat import choices
from chat.models import Message
from feedback import allowing, capture, correcting, pace
from feedback.forms import RatingForm
from feedback.models import Rating
from feedback.templatetags.feedback import widget_context


def own_reply(request: HttpRequest, message_id: uuid.UUID) -> Message:
    """A reply in one of the person's own conversations; raises `Http404` for any other."""
    return get_object_or_404(
        Message.objects.select_related("reply", "conversation"),
        pk=message_id,
        conversation__user=_person(request),
        conversation__deleted_at=None,
        role=Message.Role.ASSISTANT,
    )


@login_required
@require_POST
def rate(request: HttpRequest, message_id: uuid.UUID) -> HttpResponse:
    """Rate, change or withdraw; answers the widget as a fragment, or goes back to the conversation."""
    user = _person(request)
    message = own_reply(request, message_id)
    too_fast = pace.refusal(request)
    error = too_fast or _take(user, message, RatingForm(request.POST))
    if request.headers.get("X-Requested-With") == "fetch":
        is_open = bool(error) or request.POST.get("value") != "0"
        return _widget(request, message, error=error, is_open=is_open, status=status_of(error, too_fast=too_fast))
    if error:
        messages.error(request, error)
    return _back_to(message)


@login_required
@require_POST
def allow_use(request: HttpRequest, message_id: uuid.UUID) -> HttpResponse:
    """Whether training may use what the person says about one reply, whatever they say of the conversation."""
    message = own_reply(request, message_id)
    too_fast = take_wish(request, allowing.of_reply(message))
    if request.headers.get("X-Requested-With") == "fetch":
        return _widget(request, message, error=too_fast, is_open=True, status=status_of(too_fast, too_fast=too_fast))
    tell_of_wish(request, too_fast)
    return _back_to(message)


def take_wish(request: HttpRequest, subject: allowing.Subject) -> str:
    """Allow or forbid the use of it, as the form says; what is never used has no such form.

    Returns why it was not taken now, if it was not.
    """
    if too_fast := pace.refusal(request):
        return too_fast
    try:
        subject.say(is_granted=request.POST.get("training_consent") == "yes", now=timezone.now())
    except allowing.NeverUsed as never:
        raise Http404 from never
    return ""


def tell_of_wish(request: HttpRequest, too_fast: str) -> None:
    """For a page that is loaded anew."""
    if too_fast:
        messages.error(request, too_fast)
    else:
        messages.success(request, _("Your choice is saved."))


@login_required
@require_POST
def ask_first(request: HttpRequest, message_id: uuid.UUID) -> HttpResponse:
    """Have the conversation of a reply that guessed ask first from now on."""
    message = own_reply(request, message_id)
    choices.ask_first(message.conversation)
    if request.headers.get("X-Requested-With") == "fetch":
        return _widget(request, message)
    messages.success(request, _("This chat asks first when a request is unclear."))
    return _back_to(message)


def event_of(form_id: uuid.UUID, *said: object) -> uuid.UUID:
    """The id of what a form says: sent twice it is one event, and changed it is another.

    A page that the browser kept, or whose answer was lost, sends its form's id once more with something else.
    """
    return uuid.uuid5(form_id, json.dumps(said))


def status_of(error: str, *, too_fast: str) -> int:
    """The status that goes with what is wrong with a form, if anything is."""
    return HTTPStatus.TOO_MANY_REQUESTS if too_fast else HTTPStatus.BAD_REQUEST if error else HTTPStatus.OK


def _widget(
    request: HttpRequest, message: Message, *, error: str = "", is_open: bool = False, status: int = HTTPStatus.OK
) -> HttpResponse:
    rating = Rating.objects.with_consent().filter(user=_person(request), message=message).first()
    corrections = correcting.standing(message)
    if error and rating and "comment" in request.POST:
        # What was written stays in the form, to be sent again.
        rating.reasons, rating.comment = request.POST.getlist("reasons"), request.POST["comment"]
    context = widget_context(message, rating=rating, corrections=corrections, error=error, is_open=is_open)
    return render(request, "feedback/widget.html", context, status=status)


def _back_to(message: Message) -> HttpResponse:
    return redirect(f"{reverse('conversation', args=[message.conversation_id])}?at={message.pk}#m-{message.pk}")


def _take(user: User, message: Message, form: RatingForm) -> str:
    """Store what the form says; returns what was wrong with it."""
    if not form.is_valid():
        return _("This rating could not be read. Reload the page and try again.")
    given = form.cleaned_data
    value = given["value"]
    if "comment" not in form.data:
        # A thumb says nothing of reasons: on a page that is older than those of the same direction, it leaves them.
        stands = Rating.objects.filter(user=user, message=message, value=value).first()
        given |= {"reasons": stands.reasons, "comment": stands.comment} if stands else {}
    event_id = event_of(given["client_event_id"], value, sorted(given["reasons"]), given["comment"])
    try:
        if value == 0:
            capture.withdraw(user=user, message=message, client_event_id=event_id, now=timezone.now())
        else:
            capture.rate(
                user=user,
                message=message,
                value=value,
                reasons=given["reasons"],
                comment=given["comment"],
                client_event_id=event_id,
                now=timezone.now(),
            )
    except capture.BadRating as refusal:
        return str(refusal)
    return ""


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - login_required has let the request in
    return request.user
