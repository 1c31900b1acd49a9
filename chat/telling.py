"""Tell a person's own programs that a reply has ended, if they asked to be told."""

from __future__ import annotations

import uuid
from datetime import datetime

from accounts.models import WebhookEndpoint
from accounts.webhooks.publishing import is_wanted, publish
from chat.models import Message, Reply


def tell_of_reply(reply: Reply, user_id: uuid.UUID, *, now: datetime) -> None:
    """In the transaction that ends the reply. Ids and counts only: the text is fetched with a key."""
    if not is_wanted(user_id=user_id, event=WebhookEndpoint.Event.REPLY_FINISHED):
        return
    publish(
        user_id=user_id,
        event=WebhookEndpoint.Event.REPLY_FINISHED,
        subject=str(reply.pk),
        data={
            "reply": str(reply.pk),
            "conversation": str(Message.everything.values_list("conversation_id", flat=True).get(pk=reply.pk)),
            "state": str(reply.state),
            "finish_reason": reply.finish_reason,
            "model": reply.model,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
        },
        now=now,
    )
