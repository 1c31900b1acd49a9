"""What chat templates need to show a turn."""

import uuid

from django import template
from django.utils.safestring import SafeString

from chat.answering import Question, question_of
from chat.consistency import showing
from chat.models import ConsistencyCheck, Conversation, Message, Reply
from chat.rendering import render

register = template.Library()


@register.filter
def as_markdown(text: str) -> SafeString:
    """Safe HTML of what the model wrote."""
    return render(text)


@register.filter
def seconds(milliseconds: float | None) -> str:
    """`1234` as `1.2`; nothing for nothing."""
    return "" if milliseconds is None else f"{milliseconds / 1000:.1f}"


@register.filter
def unlocalise(value: object) -> str:
    """A number as programs write it, without separators for thousands."""
    return str(value)


@register.simple_tag
def asked_in(reply: Reply, conversation: Conversation) -> Question | None:
    """The clarifying question that a reply is, once it is there to be answered."""
    return question_of(reply, conversation) if reply.is_finished else None


@register.simple_tag
def check_of(message: Message, conversation: Conversation) -> ConsistencyCheck | None:
    """The newest consistency check that was asked of a reply, read once for all replies of a page."""
    return conversation.checks_by_reply.get(message.pk)


@register.filter
def in_short(check: ConsistencyCheck) -> str:
    """What came of a check: `3 of 4 agree`."""
    return showing.short(check)


@register.simple_tag
def fresh_uuid() -> str:
    """A client id for a form: sending the form twice is one request."""
    return str(uuid.uuid4())
