"""The rating widget under a reply."""

from __future__ import annotations

import uuid
from typing import Any

from django import template

from accounts.models import User
from chat.models import Message
from feedback import reasons
from feedback.models import Rating

register = template.Library()


def widget_context(message: Message, user: User, *, error: str = "", is_open: bool = False) -> dict[str, Any]:
    """What the widget shows: the person's live rating of this reply, and the reasons that go with it."""
    rating = Rating.objects.filter(user=user, message=message).first()
    return {
        "message": message,
        "rating": rating,
        "reasons": reasons.known(rating.value).items() if rating else (),
        "error": error,
        "is_open": is_open,
        "client_event_id": uuid.uuid4(),
    }


@register.inclusion_tag("feedback/widget.html", takes_context=True)
def reply_feedback(context: dict[str, Any], message: Message, user: User) -> dict[str, Any]:
    """Thumbs, and with a rating its reasons and comment."""
    return {**widget_context(message, user), "csrf_token": context.get("csrf_token")}
