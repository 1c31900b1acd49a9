"""The rating widget under a reply."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django import template
from django.http import HttpRequest

from accounts.models import User
from chat.choices import asks_first
from chat.models import Message
from feedback import reasons
from feedback.comparing import shown_in
from feedback.models import Comparison, Correction, Rating

register = template.Library()


def widget_context(
    message: Message, *, rating: Rating | None, corrections: list[Correction], error: str = "", is_open: bool = False
) -> dict[str, Any]:
    """What the widget shows: the person's live rating of this reply, taken `with_consent`, and the reasons with it."""
    return {
        "message": message,
        "rating": rating,
        "corrections": corrections,
        "better": next((one for one in reversed(corrections) if not one.quote), None),
        "reasons": reasons.known(rating.value).items() if rating else (),
        "guessed": bool(rating and "should_have_asked" in rating.reasons),
        "asks_first": bool(rating and "should_have_asked" in rating.reasons) and asks_first(message.conversation),
        "error": error,
        "is_open": is_open,
        "client_event_id": uuid.uuid4(),
    }


@register.inclusion_tag("feedback/widget.html", takes_context=True)
def reply_feedback(context: dict[str, Any], message: Message, user: User) -> dict[str, Any]:
    """Thumbs, and with a rating its reasons and comment."""
    message.conversation = context["conversation"]  # which else every rated reply would ask for
    said = _said(context["request"], user, message.conversation_id)
    rating = said.ratings.get(message.pk)
    corrections = [one for one in said.corrections if one.message_id == message.pk]
    return {**widget_context(message, rating=rating, corrections=corrections), "csrf_token": context.get("csrf_token")}


@register.inclusion_tag("feedback/inconsistent.html", takes_context=True)
def report_contradiction(context: dict[str, Any], message: Message, user: User) -> dict[str, Any]:
    """One tap that rates a reply down as inconsistent; what the person said of it before stays."""
    known = Rating.objects.filter(user=user, message=message, value=-1).first()
    said = known.reasons if known else []
    return {
        "message": message,
        "is_said": "inconsistent" in said,
        "reasons": sorted({*said, "inconsistent"}),
        "comment": known.comment if known else "",
        "client_event_id": uuid.uuid4(),
        "csrf_token": context.get("csrf_token"),
    }


@dataclass(frozen=True)
class _Said:
    ratings: dict[uuid.UUID, Rating]
    corrections: list[Correction]


def _said(request: HttpRequest, user: User, conversation_id: uuid.UUID) -> _Said:
    """All that the person said about the conversation, asked for once a page however many replies it shows."""
    known: dict[uuid.UUID, _Said] = request.__dict__.setdefault("_feedback_said", {})
    if conversation_id not in known:
        ratings = Rating.objects.with_consent().filter(user=user, message__conversation=conversation_id)
        corrections = Correction.objects.filter(user=user, message__conversation=conversation_id, withdrawn_at=None)
        known[conversation_id] = _Said(
            {rating.message_id: rating for rating in ratings}, list(corrections.order_by("created_at"))
        )
    return known[conversation_id]


@register.simple_tag(takes_context=True)
def comparison_of(context: dict[str, Any], message: Message, user: User) -> Comparison | None:
    """The comparison that this reply is a side of."""
    request = context["request"]
    known = request.__dict__.setdefault("_feedback_comparisons", {})
    if message.conversation_id not in known:
        found = shown_in(user=user, conversation_id=message.conversation_id)
        known[message.conversation_id] = {side.pk: one for one in found for side in one.sides}
    comparison: Comparison | None = known[message.conversation_id].get(message.pk)
    return comparison


@register.filter
def is_shown(comparison: Comparison | None, request: HttpRequest) -> bool:
    """Whether both sides take the place of the reply: it waits for an answer, or the person asked to answer it anew."""
    if comparison is None:
        return False
    return comparison.is_asked or (comparison.is_noted and request.GET.get("compare") == str(comparison.pk))
