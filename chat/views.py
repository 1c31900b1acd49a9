"""The chat pages. Each works as a plain page; a script asks for fragments with `X-Requested-With: fetch`."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from billing.quota import QuotaExceeded, allowance_of
from chat import sending, sidebar, tree
from chat.forms import MessageForm, RegenerateForm, RenameForm
from chat.models import MAX_MESSAGE_CHARACTERS, Conversation, Message, Reply

TURNS_SHOWN = 80


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    return redirect("chat") if request.user.is_authenticated else render(request, "home.html")


@login_required
def new_conversation(request: HttpRequest) -> HttpResponse:
    """An empty conversation; POST starts it."""
    if request.method != "POST":
        return render(request, "chat/conversation.html", _page(request, None))
    form = MessageForm(request.POST)
    if not form.is_valid():
        return _refused(request, None, _("This page is out of date. Reload it and send again."), 400)
    given = form.cleaned_data
    try:
        reply = sending.start_conversation(
            user=_person(request), content=given["content"], client_id=given["client_id"], now=timezone.now()
        )
    except sending.BadMessage as refusal:
        return _refused(request, None, str(refusal), 400)
    except QuotaExceeded as wall:
        return _wall(request, None, wall)
    return _sent(request, reply, after=None)


@login_required
@require_GET
def conversation(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """The conversation along the path its owner chose; `?at=` chooses another branch."""
    shown = _conversation(request, conversation_id)
    if at := request.GET.get("at"):
        try:
            tree.select(shown, uuid.UUID(at))
        except (ValueError, Message.DoesNotExist):
            return redirect("conversation", conversation_id)
    context = _page(request, shown, editing=_id_or_none(request.GET.get("edit")))
    template = "chat/thread.html" if _is_fetch(request) else "chat/conversation.html"
    return render(request, template, context)


@login_required
@require_POST
def send(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """The next message, or with the parent of an earlier one another branch."""
    shown = _conversation(request, conversation_id)
    form = MessageForm(request.POST)
    if not form.is_valid():
        return _refused(request, shown, _("This page is out of date. Reload it and send again."), 400)
    given = form.cleaned_data
    parent = get_object_or_404(Message, pk=given["parent"], conversation=shown) if given["parent"] else None
    try:
        reply = sending.send_message(
            user=_person(request),
            conversation=shown,
            parent=parent,
            content=given["content"],
            client_id=given["client_id"],
            now=timezone.now(),
        )
    except sending.BadMessage as refusal:
        return _refused(request, shown, str(refusal), 400)
    except QuotaExceeded as wall:
        return _wall(request, shown, wall)
    return _sent(request, reply, after=parent)


@login_required
@require_POST
def regenerate(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    shown = _conversation(request, conversation_id)
    message = get_object_or_404(Message.objects.select_related("parent"), pk=message_id, conversation=shown)
    form = RegenerateForm(request.POST)
    if not form.is_valid():
        return _refused(request, shown, _("This page is out of date. Reload it and send again."), 400)
    try:
        reply = sending.regenerate(
            user=_person(request), message=message, client_id=form.cleaned_data["client_id"], now=timezone.now()
        )
    except sending.BadMessage as refusal:
        return _refused(request, shown, str(refusal), 400)
    except QuotaExceeded as wall:
        return _wall(request, shown, wall)
    return _sent(request, reply, after=message.parent)


@login_required
@require_POST
def stop(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    shown = _conversation(request, conversation_id)
    reply = get_object_or_404(Reply, pk=message_id, message__conversation=shown)
    sending.request_stop(reply=reply, now=timezone.now())
    return HttpResponse(status=202) if _is_fetch(request) else redirect("conversation", conversation_id)


@login_required
@require_GET
def turn(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """One turn as a fragment: what a page shows in its place when its reply has ended."""
    shown = _conversation(request, conversation_id)
    message = get_object_or_404(Message.objects.select_related("reply"), pk=message_id, conversation=shown)
    return render(request, "chat/turn.html", {"turn": tree.turn_of(message), "conversation": shown})


@login_required
@require_GET
def older_conversations(request: HttpRequest) -> HttpResponse:
    """The list of conversations from a cursor on; `current` marks the one that is open."""
    page = sidebar.page_of(_person(request), now=timezone.now(), cursor=request.GET.get("after", ""))
    if not _is_fetch(request):
        return render(request, "chat/conversation.html", _page(request, None, conversations=page))
    context = {"conversations": page, "current": _id_or_none(request.GET.get("current"))}
    return render(request, "chat/conversation_list.html", context)


@login_required
@require_POST
def rename(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    shown = _conversation(request, conversation_id)
    form = RenameForm(request.POST)
    if form.is_valid():
        sending.rename_conversation(conversation=shown, title=form.cleaned_data["title"])
    else:
        messages.error(request, _("A title has between 1 and 120 characters."))
    return redirect("conversation", conversation_id)


@login_required
@require_POST
def delete(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    sending.delete_conversation(conversation=_conversation(request, conversation_id), now=timezone.now())
    messages.success(request, _("The conversation is deleted."))
    return redirect("chat")


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - login_required has let the request in
    return request.user


def _conversation(request: HttpRequest, conversation_id: uuid.UUID) -> Conversation:
    return get_object_or_404(Conversation.objects.of(_person(request)), pk=conversation_id)


def _id_or_none(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None


def _is_fetch(request: HttpRequest) -> bool:
    return request.headers.get("X-Requested-With") == "fetch"


def _page(request: HttpRequest, shown: Conversation | None, **more: Any) -> dict[str, Any]:
    """What the whole page shows; fragments use parts of it."""
    now = timezone.now()
    turns = tree.current_path(shown) if shown else []
    is_whole = "all" in request.GET or len(turns) <= TURNS_SHOWN
    return {
        "conversation": shown,
        "conversations": sidebar.page_of(_person(request), now=now),
        "turns": turns if is_whole else turns[-TURNS_SHOWN:],
        "hidden_turns": 0 if is_whole else len(turns) - TURNS_SHOWN,
        "last_message_id": turns[-1].message.pk if turns else "",
        "allowance": allowance_of(_person(request), now=now),
        "client_id": uuid.uuid4(),
        "max_characters": MAX_MESSAGE_CHARACTERS,
        **more,
    }


def _sent(request: HttpRequest, reply: Reply, *, after: Message | None) -> HttpResponse:
    """The new turns, to be put below `after`; a plain form goes to the conversation."""
    shown = reply.message.conversation
    if not _is_fetch(request):
        return redirect("conversation", shown.pk)
    question = reply.message.parent
    is_regenerated = after is not None and question == after
    new = [reply.message] if question is None or is_regenerated else [question, reply.message]
    turns = [tree.turn_of(message) for message in new]
    html = "".join(
        render_to_string("chat/turn.html", {"turn": turn, "conversation": shown}, request=request) for turn in turns
    )
    allowance = allowance_of(_person(request), now=timezone.now())
    return JsonResponse(
        {
            "conversation": str(shown.pk),
            "title": shown.title,
            "url": reverse("conversation", args=[shown.pk]),
            "send_url": reverse("send", args=[shown.pk]),
            "rename_url": reverse("rename", args=[shown.pk]),
            "delete_url": reverse("delete", args=[shown.pk]),
            "draft_key": f"{reply.user_id}:{shown.pk}",
            "after": str(after.pk) if after else None,
            "html": html,
            "allowance_html": render_to_string("chat/allowance.html", {"allowance": allowance}, request=request),
        },
        status=201,
    )


def _wall(request: HttpRequest, shown: Conversation | None, wall: QuotaExceeded) -> HttpResponse:
    html = render_to_string("chat/wall.html", {"wall": wall, "keeps_text": "content" in request.POST}, request=request)
    return _unsent(request, shown, html, 429, wall.code)


def _refused(request: HttpRequest, shown: Conversation | None, text: str, status: int) -> HttpResponse:
    html = render_to_string("chat/refusal.html", {"text": text}, request=request)
    return _unsent(request, shown, html, status, "refused")


def _unsent(request: HttpRequest, shown: Conversation | None, html: str, status: int, code: str) -> HttpResponse:
    """What was written stays in the box, with the reason above it."""
    if _is_fetch(request):
        return JsonResponse({"code": code, "html": html}, status=status)
    context = _page(request, shown, notice_html=html, draft=request.POST.get("content", ""))
    return render(request, "chat/conversation.html", context, status=status)
