"""One process of a rush on a quota: threads that reserve at once, and settle or release.

Processes are forked from one that has imported this module, so that Django is set up once for all of them.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import DatabaseError, connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import User  # noqa: E402
from billing import quota  # noqa: E402


def attempt(user: User, *, finish: bool) -> tuple[str, float]:
    """Reserve, and perhaps end; what happened and how long the reservation took."""
    request_id = uuid.uuid4()
    started = time.perf_counter()
    try:
        quota.reserve(user=user, request_id=request_id, prompt_tokens=10, max_output_tokens=20, now=timezone.now())
    except quota.QuotaExceeded:
        return "refused", time.perf_counter() - started
    except DatabaseError as error:
        return f"error: {error}", time.perf_counter() - started
    took = time.perf_counter() - started
    if finish:
        if random.random() < 0.5:
            quota.settle(request_id=request_id, prompt_tokens=9, completion_tokens=7, now=timezone.now())
        else:
            quota.release(request_id=request_id, now=timezone.now())
    return "granted", took


def rush(user: User, *, requests: int, threads: int, finish: bool) -> dict[str, object]:
    def one(_number: int) -> tuple[str, float]:
        try:
            return attempt(user, finish=finish)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(pool.map(one, range(requests)))
    words = [word for word, _took in outcomes]
    return {
        "granted": words.count("granted"),
        "refused": words.count("refused"),
        "errors": [word for word in words if word.startswith("error")],
        "milliseconds": [round(took * 1000, 2) for _word, took in outcomes],
    }


def serve(pipe: Connection, user_id: object, *, requests: int, threads: int, finish: bool) -> None:
    """Rush whenever told to, and tell how it went: granted, refused, errors (deadlocks too), milliseconds of each."""
    user = User.objects.get(pk=user_id)
    pipe.send("ready")
    while pipe.recv() == "go":
        pipe.send(rush(user, requests=requests, threads=threads, finish=finish))


def settle_all(pipe: Connection, *, threads: int) -> None:
    """Settle every request whose id comes, until `end` does; then tell how many seconds each took."""

    def settle(request_id: uuid.UUID) -> float:
        started = time.perf_counter()
        quota.settle(request_id=request_id, prompt_tokens=9, completion_tokens=7, now=timezone.now())
        return time.perf_counter() - started

    pipe.send("ready")
    with ThreadPoolExecutor(threads) as pool:
        settling = [pool.submit(settle, request_id) for request_id in iter(pipe.recv, "end")]
        pipe.send([task.result() for task in settling])
