"""One process that writes ratings: the domain function behind the thumb, one transaction and commit for each event."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from multiprocessing.connection import Connection

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.utils import timezone  # noqa: E402

from accounts.models import User  # noqa: E402
from chat.models import Message  # noqa: E402
from feedback import capture  # noqa: E402


def write(user_id: uuid.UUID, replies: Sequence[uuid.UUID], events: int, pipe: Connection) -> None:
    """Rate the replies in turn, every tenth event sent twice; sends (seconds in all, milliseconds of each,
    seconds of its own CPU)."""
    user = User.objects.get(pk=user_id)
    messages = list(Message.objects.select_related("reply", "conversation").filter(pk__in=replies))
    sent, taken = 0, []
    pipe.send("ready")
    pipe.recv()
    started, cpu = time.perf_counter(), time.process_time()
    while sent < events:
        message, event_id = messages[sent % len(messages)], uuid.uuid4()
        for _time in range(2 if sent % 10 == 0 else 1):
            before = time.perf_counter()
            capture.rate(
                user=user,
                message=message,
                value=1 if sent % 3 else -1,
                client_event_id=event_id,
                now=timezone.now(),
            )
            taken.append(1000 * (time.perf_counter() - before))
        sent += 1
    pipe.send((time.perf_counter() - started, taken, time.process_time() - cpu))
