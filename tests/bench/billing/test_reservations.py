"""What a reservation adds to a message, at 200 messages a second spread over people.

    python -m pytest tests/bench/billing/test_reservations.py --override-ini=testpaths=tests/bench -s

A message's transaction is there with or without it, so what is added is the reservation inside it; it is shown with a
commit of its own too, and so is settling. `RESERVE_SECONDS` (10), `RESERVE_RATE` (200).
"""

from __future__ import annotations

import os
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from billing import quota
from billing.plans import seed_plans

SECONDS = float(os.environ.get("RESERVE_SECONDS", "10"))
RATE = float(os.environ.get("RESERVE_RATE", "200"))
THREADS = 8
LONGEST_MS = 5.0


def message(user: User) -> tuple[float, float, float]:
    """Seconds that reserving took, without and with its commit, and that settling took."""
    request_id = uuid.uuid4()
    began = time.perf_counter()
    with transaction.atomic():
        began_inside = time.perf_counter()
        quota.reserve(user=user, request_id=request_id, prompt_tokens=10, max_output_tokens=20, now=timezone.now())
        inside = time.perf_counter() - began_inside
    reserved = time.perf_counter()
    quota.settle(request_id=request_id, prompt_tokens=9, completion_tokens=7, now=timezone.now())
    return inside, reserved - began, time.perf_counter() - reserved


def test_a_reservation_adds_next_to_nothing(transactional_db: None, capsys: pytest.CaptureFixture[str]) -> None:
    seed_plans()
    count = int(SECONDS * RATE)
    people = [User.objects.create(email=f"{uuid.uuid4().hex}@example.org") for _ in range(max(THREADS, count // 10))]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(message, people[: THREADS * 2]))  # connections open before the clock starts
        began, waiting = time.perf_counter(), []
        for number in range(count):
            time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            waiting.append(pool.submit(message, people[number % len(people)]))
        times = [task.result() for task in waiting]
        took = time.perf_counter() - began
        list(pool.map(lambda _number: connection.close(), range(THREADS * 4)))
    columns = dict(
        zip(
            ("reserve, in the message's transaction", "with its own commit", "settle"),
            zip(*times, strict=True),
            strict=True,
        )
    )
    with capsys.disabled():
        print(f"\n{count} messages at {count / took:.0f} a second")
        for name, values in columns.items():
            cuts = statistics.quantiles([1000 * value for value in values], n=100, method="inclusive")
            print(f"{name}: median {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms")
    inside = statistics.quantiles([1000 * reserving for reserving, _commit, _settle in times], n=20, method="inclusive")
    assert inside[-1] <= LONGEST_MS
