"""Saying something: the views that post, and what they answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from billing.entitlements import entitlement_of
from billing.quota import QuotaExceeded, allowance_of
from chat import events, offer, sending, tree
from chat.forms import ChoicesForm, MessageForm, RegenerateForm, TrainingConsentForm
from chat.models import Conversation, Message, Reply, SavedPrompt
from chat.views.pages import whole_page
from chat.views.requests import id_or_none, is_fetch, own_conversation, person


@login_required
def new_conversation(request: HttpRequest) -> HttpResponseBase:
    """An empty conversation; POST starts it."""
    if request.method != "POST":
        page = whole_page(request, None, is_temporary="temporary" in request.GET, draft=_draft(request))
        return render(request, "chat/conversation.html", page)
    form = MessageForm(request.POST)
    if not form.is_valid():
        return _refused(request, None, _("This page is out of date. Reload it and send again."), 400)
    given = form.cleaned_data
    chosen, consent_form = _chosen(request), TrainingConsentForm(request.POST)
    if (chosen and not chosen.is_valid()) or not consent_form.is_valid():
        return _refused(request, None, _("The settings of this chat are not possible. Look at them again."), 400)
    try:
        reply = sending.start_conversation(
            user=person(request),
            content=given["content"],
            client_id=given["client_id"],
            is_temporary=given["is_temporary"],
            chosen=chosen.choices if chosen else None,
            may_train=consent_form.wish,
            document_ids=given["documents"],
            with_smaller_model=given["with_smaller_model"],
            now=timezone.now(),
        )
    except sending.BadMessage as refusal:
        return _refused(request, None, str(refusal), 400)
    except QuotaExceeded as wall:
        return _wall(request, None, wall)
    return _sent(request, reply, after=None)


@login_required
@require_POST
def send(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponseBase:
    """The next message, or with the parent of an earlier one another branch."""
    shown = own_conversation(request, conversation_id)
    form = MessageForm(request.POST)
    if not form.is_valid():
        return _refused(request, shown, _("This page is out of date. Reload it and send again."), 400)
    given = form.cleaned_data
    messages = Message.objects.select_related("reply__clarification")
    parent = get_object_or_404(messages, pk=given["parent"], conversation=shown) if given["parent"] else None
    try:
        reply = sending.send_message(
            user=person(request),
            conversation=shown,
            parent=parent,
            content=given["content"],
            client_id=given["client_id"],
            with_smaller_model=given["with_smaller_model"],
            now=timezone.now(),
        )
    except sending.BadMessage as refusal:
        return _refused(request, shown, str(refusal), 400)
    except QuotaExceeded as wall:
        return _wall(request, shown, wall)
    return _sent(request, reply, after=parent)


@login_required
@require_POST
def regenerate(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponseBase:
    """Another reply to the same message."""
    return _beside(request, conversation_id, message_id, sending.regenerate)


def _beside(
    request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID, write: Callable[..., Reply]
) -> HttpResponseBase:
    shown = own_conversation(request, conversation_id)
    message = get_object_or_404(
        Message.objects.select_related("conversation", "parent"), pk=message_id, conversation=shown
    )
    form = RegenerateForm(request.POST)
    if not form.is_valid():
        return _refused(request, shown, _("This page is out of date. Reload it and send again."), 400)
    try:
        reply = write(
            user=person(request), message=message, client_id=form.cleaned_data["client_id"], now=timezone.now()
        )
    except sending.BadMessage as refusal:
        return _refused(request, shown, str(refusal), 400)
    except QuotaExceeded as wall:
        return _wall(request, shown, wall)
    return _sent(request, reply, after=message.parent)


@login_required
@require_POST
def continue_reply(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponseBase:
    """Go on with a reply that was stopped or cut off."""
    return _beside(request, conversation_id, message_id, sending.continue_reply)


@login_required
@require_POST
def delete_branch(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """Erase a variant with everything below it."""
    shown = own_conversation(request, conversation_id)
    try:
        tree.delete_branch(shown, message_id, now=timezone.now())
    except Message.DoesNotExist as missing:
        raise Http404 from missing
    except tree.BranchInUse:
        messages.error(request, _("A reply in it is still being written. Stop it first."))
    return redirect("conversation", conversation_id)


@login_required
@require_POST
def stop(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    shown = own_conversation(request, conversation_id)
    reply = get_object_or_404(Reply, pk=message_id, message__conversation=shown)
    sending.request_stop(reply=reply, now=timezone.now())
    return HttpResponse(status=202) if is_fetch(request) else redirect("conversation", conversation_id)


def _draft(request: HttpRequest) -> str:
    """The text of the saved prompt that the address names."""
    prompt_id = id_or_none(request.GET.get("prompt"))
    named = SavedPrompt.objects.filter(pk=prompt_id, user=person(request)).first() if prompt_id else None
    return named.text if named else ""


def _chosen(request: HttpRequest) -> ChoicesForm | None:
    """The settings that came with the first message; None when they are the site's, as nearly always."""
    if not any(request.POST.get(name) for name in ChoicesForm.base_fields):
        return None
    return ChoicesForm(request.POST, entitlement=entitlement_of(person(request), now=timezone.now()))


def _sent(request: HttpRequest, reply: Reply, *, after: Message | None) -> HttpResponseBase:
    """The new turns, to be put below `after`, and then the reply's events; a plain form goes to the conversation."""
    if not is_fetch(request):
        return redirect("conversation", reply.message.conversation_id)
    answer = _answer(request, reply, after=after)
    is_streamed = request.get_preferred_type(["application/json", "text/event-stream"]) == "text/event-stream"
    return events.sent(reply, answer) if is_streamed else JsonResponse(answer, status=201)


def _answer(request: HttpRequest, reply: Reply, *, after: Message | None) -> dict[str, Any]:
    shown = reply.message.conversation
    question = reply.message.parent
    is_regenerated = after is not None and question == after
    new = [reply.message] if question is None or is_regenerated else [question, reply.message]
    turns = [tree.turn_of(message) for message in new]
    html = "".join(_turn(request, shown, turn) for turn in turns)
    # A question is shown as answered from now on.
    is_answered = after is not None and not is_regenerated and hasattr(getattr(after, "reply", None), "clarification")
    allowance = allowance_of(person(request), now=timezone.now())
    return {
        "reply": str(reply.pk),
        "conversation": str(shown.pk),
        "title": shown.title,
        "url": reverse("conversation", args=[shown.pk]),
        "send_url": reverse("send", args=[shown.pk]),
        "rename_url": reverse("rename", args=[shown.pk]),
        "share_url": reverse("share", args=[shown.pk]),
        "manage_url": reverse("manage", args=[shown.pk]),
        "settings_url": reverse("chat-settings", args=[shown.pk]),
        "delete_url": reverse("delete", args=[shown.pk]),
        "draft_key": "" if shown.is_temporary else f"{reply.user_id}:{shown.pk}",
        "after": str(after.pk) if after else None,
        "html": html,
        "after_html": _turn(request, shown, tree.turn_of(after)) if after and is_answered else "",
        "allowance_html": render_to_string("chat/allowance.html", {"allowance": allowance}, request=request),
    }


def _turn(request: HttpRequest, shown: Conversation, turn: tree.Turn) -> str:
    return render_to_string("chat/turn.html", {"turn": turn, "conversation": shown}, request=request)


def _wall(request: HttpRequest, shown: Conversation | None, wall: QuotaExceeded) -> HttpResponse:
    keeps_text = "content" in request.POST
    context = {"wall": wall, "keeps_text": keeps_text, "smaller_model": _smaller_model(request, wall)}
    html = render_to_string("chat/wall.html", context, request=request)
    return _unsent(request, shown, html, 429, wall.code)


def _smaller_model(request: HttpRequest, wall: QuotaExceeded) -> str:
    """The model by which what is in the box may be sent in this window, if any."""
    if wall.code != "messages" or "content" not in request.POST or "is_edit" in request.POST:
        return ""
    limits = entitlement_of(person(request), now=timezone.now())
    return offer.smaller_for(limits) if wall.used < limits.messages_per_window + limits.smaller_model_messages else ""


def _refused(request: HttpRequest, shown: Conversation | None, text: str, status: int) -> HttpResponse:
    html = render_to_string("chat/refusal.html", {"text": text}, request=request)
    return _unsent(request, shown, html, status, "refused")


def _unsent(request: HttpRequest, shown: Conversation | None, html: str, status: int, code: str) -> HttpResponse:
    """What was written stays in the box, with the reason above it."""
    if is_fetch(request):
        return JsonResponse({"code": code, "html": html}, status=status)
    is_temporary = shown.is_temporary if shown else "is_temporary" in request.POST
    context = whole_page(
        request, shown, notice_html=html, draft=request.POST.get("content", ""), is_temporary=is_temporary
    )
    return render(request, "chat/conversation.html", context, status=status)
