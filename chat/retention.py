"""What does not stay: temporary conversations, and deleted ones after the time in which they can be brought back."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from chat import streams
from chat.models import Conversation, Message, Reply
from chat.signals import messages_erased

AT_ONCE = 200


def sweep(*, now: datetime) -> int:
    """Erase what is due, with its messages, replies, ratings and streams; returns how many conversations went."""
    temporary_until = now - timedelta(hours=settings.TEMPORARY_CHAT_HOURS)
    deleted_until = now - timedelta(days=settings.DELETED_CHAT_DAYS)
    due = (
        Conversation.objects.filter(
            Q(is_temporary=True, updated_at__lt=temporary_until)
            | Q(is_temporary=True, deleted_at__isnull=False)
            | Q(deleted_at__lt=deleted_until)
        )
        .exclude(pk__in=Reply.objects.unfinished().values("message__conversation"))
        .values_list("pk", flat=True)[:AT_ONCE]
    )
    return sum(_erase(conversation_id, now) for conversation_id in list(due))


def _erase(conversation_id: uuid.UUID, now: datetime) -> int:
    with transaction.atomic():
        conversation = Conversation.objects.select_related("user").filter(pk=conversation_id).first()
        if conversation is None:
            return 0
        message_ids = list(Message.objects.filter(conversation=conversation).values_list("pk", flat=True))
        messages_erased.send(sender=Message, user=conversation.user, message_ids=message_ids, now=now)
        conversation.delete()
    streams.forget(message_ids)
    return 1
