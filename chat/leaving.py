"""What chat forgets when a person leaves: the streams of their replies; their rows go with them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from accounts.models import User
from chat import streams
from chat.models import Reply


def forget(*, user: User, **_arguments: Any) -> None:
    reply_ids = list(Reply.objects.filter(message__conversation__user=user).values_list("pk", flat=True))
    transaction.on_commit(lambda: streams.forget(reply_ids))
