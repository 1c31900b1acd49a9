"""What does not stay: temporary conversations, and deleted ones after the time in which they can be brought back."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from chat import streams
from chat.models import Conversation, Reply

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
    return sum(_erase(conversation_id) for conversation_id in list(due))


def _erase(conversation_id: uuid.UUID) -> int:
    reply_ids = list(Reply.objects.filter(message__conversation=conversation_id).values_list("pk", flat=True))
    Conversation.objects.filter(pk=conversation_id).delete()
    streams.forget(reply_ids)
    return 1
