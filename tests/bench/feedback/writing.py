"""One process that writes ratings by the domain functions behind the thumb and behind the API's batches."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import User  # noqa: E402
from chat.models import Message  # noqa: E402
from feedback import capture  # noqa: E402


def write(user_id: uuid.UUID, replies: Sequence[uuid.UUID], at_once: int, threads: int, pipe: Connection) -> None:
    """Rate the replies, `at_once` in a transaction, every tenth call sent twice; sends (seconds in all, milliseconds
    of each call, seconds of its own CPU)."""
    user = User.objects.get(pk=user_id)
    messages = list(Message.objects.select_related("reply", "conversation").filter(pk__in=replies))
    calls = [messages[first : first + at_once] for first in range(0, len(messages), at_once)]
    parts = [calls[number::threads] for number in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(_wake, parts))
        pipe.send("ready")
        pipe.recv()
        started, cpu = time.perf_counter(), time.process_time()
        taken = [one for part in pool.map(lambda part: _say_all(user, part), parts) for one in part]
        pipe.send((time.perf_counter() - started, taken, time.process_time() - cpu))


def _wake(_part: object) -> None:
    connections["default"].ensure_connection()


def _say_all(user: User, calls: Sequence[Sequence[Message]]) -> list[float]:
    taken = []
    for number, about in enumerate(calls):
        opinions = [capture.Opinion(message, -1 if number % 3 else 1, uuid.uuid4()) for message in about]
        for _time in range(2 if number % 10 == 0 else 1):
            before = time.perf_counter()
            if len(opinions) == 1:
                one = opinions[0]
                capture.rate(
                    user=user,
                    message=one.message,
                    value=one.value,
                    client_event_id=one.client_event_id,
                    now=timezone.now(),
                )
            else:
                capture.say(user=user, opinions=opinions, now=timezone.now())
            taken.append(1000 * (time.perf_counter() - before))
    connections.close_all()
    return taken
