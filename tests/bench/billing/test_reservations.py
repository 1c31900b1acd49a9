"""What a reservation adds to a message, at 200 messages a second spread over people.

    TEST_DURABLE=1 python -m pytest tests/bench/billing/test_reservations.py --override-ini=testpaths=tests/bench -s

A message's transaction is there with or without it, and has begun when the message was stored. So what is added is the
reservation inside it, with the question of the plan; both are shown apart too, and with a commit of their own, which
waits for the disk (`TEST_DURABLE=1`, without which nothing is measured). Settling is done by another process meanwhile,
as the worker does it. `RESERVE_SECONDS` (10), `RESERVE_RATE` (200): each message begins when it is due, whatever became
of those before it.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from billing import quota
from billing.entitlements import entitlement_of
from billing.models import Reservation
from billing.plans import seed_plans
from tests.bench.durable import needs_durable

pytestmark = needs_durable
SECONDS = float(os.environ.get("RESERVE_SECONDS", "10"))
RATE = float(os.environ.get("RESERVE_RATE", "200"))
THREADS = 8
LONGEST_MS = 5.0
SENDING = threading.Lock()  # one end of a pipe is for one thread at a time


@pytest.fixture
def settling(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A process that settles what it is sent the id of, and in the end tells how many seconds each took."""
    seed_plans()
    address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    monkeypatch.setenv("DATABASE_URL", urlunsplit(address))
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["tests.bench.billing.rush"])
    ours, theirs = forking.Pipe()
    process = forking.Process(target=settle_all, args=(theirs,))
    process.start()
    assert ours.recv() == "ready"
    yield ours
    process.kill()
    process.join()


def settle_all(pipe: Connection) -> None:
    """Only where it has been imported already: Django is set up by that."""
    from tests.bench.billing import rush

    rush.settle_all(pipe, threads=THREADS)


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds that one message was held up by."""

    plan: float
    reservation: float
    with_commit: float

    @property
    def added(self) -> float:
        return self.plan + self.reservation


def message(user: User, settling: Connection) -> Taken:
    request_id = uuid.uuid4()
    began = time.perf_counter()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT")  # where a message would be stored: what comes first begins the transaction
        began_inside = time.perf_counter()
        now = timezone.now()
        entitlement = entitlement_of(user, now=now)
        knows_plan = time.perf_counter()
        quota.reserve(
            user=user, request_id=request_id, prompt_tokens=10, max_output_tokens=20, now=now, entitlement=entitlement
        )
        reserved = time.perf_counter()
    ended = time.perf_counter()
    with SENDING:
        settling.send(request_id)
    return Taken(knows_plan - began_inside, reserved - knows_plan, ended - began)


def test_a_reservation_adds_next_to_nothing(settling: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    count = int(SECONDS * RATE)
    people = [User.objects.create(email=f"{uuid.uuid4().hex}@example.org") for _ in range(max(THREADS, count // 10))]
    with ThreadPoolExecutor(THREADS) as pool:
        for user in people[: THREADS * 2]:  # connections open before the clock starts
            pool.submit(message, user, settling).result()
        began, waiting = time.perf_counter(), []
        for number in range(count):
            time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            waiting.append(pool.submit(message, people[number % len(people)], settling))
        taken = [task.result() for task in waiting]
        took = time.perf_counter() - began
        list(pool.map(lambda _number: connection.close(), range(THREADS * 4)))
    settling.send("end")
    added = [one.added for one in taken]
    columns = {
        "added to the message's transaction": added,
        "of which the plan": [one.plan for one in taken],
        "of which the reservation": [one.reservation for one in taken],
        "a transaction of its own, with its commit": [one.with_commit for one in taken],
        "settle": settling.recv(),
    }
    with capsys.disabled():
        print(f"\n{count} messages at {count / took:.0f} a second")
        for name, values in columns.items():
            cuts = statistics.quantiles([1000 * value for value in values], n=100, method="inclusive")
            print(f"{name}: median {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms")
    assert not Reservation.objects.exclude(state="settled").exists()
    assert statistics.quantiles([1000 * value for value in added], n=20, method="inclusive")[-1] <= LONGEST_MS
