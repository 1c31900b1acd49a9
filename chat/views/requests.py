"""What every chat view asks of its request."""

from __future__ import annotations

import uuid

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from accounts.models import User
from chat.models import Conversation


def person(request: HttpRequest) -> User:
    """Who is signed in, behind `login_required`."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required has let the request in
    return request.user


def own_conversation(request: HttpRequest, conversation_id: uuid.UUID) -> Conversation:
    """The person's conversation; raises `Http404` for anybody else's and for deleted ones."""
    return get_object_or_404(Conversation.objects.of(person(request)), pk=conversation_id)


def id_or_none(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None


def is_fetch(request: HttpRequest) -> bool:
    """Whether the page's own script asks, which wants a fragment."""
    return request.headers.get("X-Requested-With") == "fetch"
