"""A conversation as a page, whole or one turn of it."""

from __future__ import annotations

import uuid
from itertools import dropwhile
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from billing.entitlements import entitlement_of
from billing.quota import allowance_of
from chat import context, sidebar, tree
from chat.certainty import in_utf16
from chat.documents import showing
from chat.forms import ChoicesForm, TrainingConsentForm
from chat.models import MAX_MESSAGE_CHARACTERS, Certainty, Conversation, Message
from chat.views.requests import id_or_none, is_fetch, own_conversation, person

TURNS_SHOWN = 80
# More on one page would be slow to make and to draw: then it shows a part from the middle.
MOST_TURNS = 400


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    return redirect("chat") if request.user.is_authenticated else render(request, "home.html")


@login_required
@require_GET
def conversation(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """The conversation along the path its owner chose; `?at=` chooses another branch, `?near=` only where to look.

    A script may ask for no more than what is now `?below=` a turn that it shows already.
    """
    shown = own_conversation(request, conversation_id)
    if at := request.GET.get("at"):
        try:
            tree.show(shown, uuid.UUID(at))
        except (ValueError, Message.DoesNotExist):
            return redirect("conversation", conversation_id)
    if is_fetch(request) and (above := id_or_none(request.GET.get("below"))):
        return _below(request, shown, above)
    page = whole_page(request, shown, editing=id_or_none(request.GET.get("edit")))
    template = "chat/thread.html" if is_fetch(request) else "chat/conversation.html"
    return render(request, template, page)


@login_required
@require_GET
def turn(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """One turn as a fragment: what a page shows in its place when its reply has ended."""
    shown = own_conversation(request, conversation_id)
    message = get_object_or_404(
        Message.objects.select_related("reply__clarification"), pk=message_id, conversation=shown
    )
    shown_turn = tree.turn_of(message)
    after = context.after_reply(shown_turn.reply) if shown_turn.reply else None
    return render(request, "chat/turn.html", {"turn": shown_turn, "conversation": shown, "context_after": after})


@login_required
@require_GET
def certainty(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> JsonResponse:
    """Where in a reply the model was unsure: `spans` as `chat.certainty.Span`, places as scripts count them.

    The list is empty for a reply that kept nothing.
    """
    shown = own_conversation(request, conversation_id)
    found = Certainty.objects.filter(reply__message__conversation=shown, reply=message_id)
    kept = found.select_related("reply__message").first()
    return JsonResponse({"spans": in_utf16(kept.spans, kept.reply.message.content) if kept else []})


def _below(request: HttpRequest, shown: Conversation, message_id: uuid.UUID) -> HttpResponse:
    path = tree.current_places(shown)
    rest = list(dropwhile(lambda place: place.id != message_id, path))[1:]
    if not rest:
        raise Http404
    part = {
        "conversation": shown,
        "turns": tree.turns_at(shown, rest[:MOST_TURNS]),
        "later_turns": len(rest[MOST_TURNS:]),
        "last_message_id": path[-1].id,
    }
    return render(request, "chat/thread.html", part)


def _part_shown(request: HttpRequest, path: list[tree.Place]) -> tuple[int, int]:
    """Which part of the path to show: its last turns, as many as asked for, as far back as the one asked for.

    What is asked for by `near`, or would make the page too long, is shown with what stands around it.
    """

    def place_of(*names: str) -> int | None:
        ids = [id_or_none(request.GET.get(name)) for name in names]
        return next((index for index, place in enumerate(path) if place.id in ids), None)

    wanted = request.GET.get("turns", "")
    count = min(int(wanted), MOST_TURNS) if wanted.isdecimal() and len(wanted) < 7 else 0
    first = max(0, len(path) - max(TURNS_SHOWN, count))
    asked = place_of("at", "edit")
    around = place_of("near")
    if asked is not None:
        first = min(first, asked)
    if around is None and len(path) - first > MOST_TURNS:
        around = asked
    return (first, len(path)) if around is None else (max(0, around - TURNS_SHOWN), around + TURNS_SHOWN)


def _earlier(first: int, end: int, path: list[tree.Place]) -> str:
    """The query that shows what stands before turn `first`."""
    more = len(path) - first + TURNS_SHOWN
    return f"turns={more}" if end >= len(path) and more <= MOST_TURNS else f"near={path[first].id}"


def whole_page(request: HttpRequest, shown: Conversation | None, **more: Any) -> dict[str, Any]:
    """What the whole page shows; fragments use parts of it."""
    now = timezone.now()
    entitlement = entitlement_of(person(request), now=now)
    path = tree.current_places(shown) if shown else []
    is_temporary = more.pop("is_temporary", shown is not None and shown.is_temporary)
    first, end = _part_shown(request, path)
    turns = tree.turns_at(shown, path[first:end]) if shown else []
    return {
        "conversation": shown,
        "is_temporary": is_temporary,
        "conversations": sidebar.page_of(person(request), now=now),
        "turns": turns,
        "hidden_turns": first,
        "earlier": _earlier(first, end, path) if first else "",
        "later_turns": max(0, len(path) - end),
        "context_after": context.after_path(path, turns),
        "last_message_id": path[-1].id if path else "",
        "documents": showing.listed(user=person(request), conversation=shown, now=now),
        "entitlement": entitlement,
        "allowance": allowance_of(person(request), now=now, entitlement=entitlement),
        "client_id": uuid.uuid4(),
        "choices_form": ChoicesForm(entitlement=entitlement, conversation=shown),
        "consent_form": None if is_temporary else TrainingConsentForm.of(person(request), shown),
        "max_characters": MAX_MESSAGE_CHARACTERS,
        **more,
    }
