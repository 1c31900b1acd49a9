"""Many processes rush at one quota: nothing is oversold, nobody waits in a circle, and the dead leave nothing behind.

`QUOTA_ROUNDS` sets how many rounds of 256 requests at once are run; the default is short.
"""

from __future__ import annotations

import multiprocessing
import os
import random
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from billing import quota
from billing.models import Plan, Reservation, UsageBucket
from billing.plans import seed_plans
from tests.waiting import wait_until

ROUNDS = int(os.environ.get("QUOTA_ROUNDS", "1"))
# A thread each, so that all 256 are at it at once; the connections are as many as the database has.
PROCESSES, REQUESTS, CONNECTIONS = 4, 64, 40
GENEROUS = {"messages_per_window": 10**6, "concurrent_replies": 30_000, "tokens_per_month": 10**9}


@pytest.fixture
def user(transactional_db):
    seed_plans()
    return User.objects.create_user("rush@example.org")


@pytest.fixture
def rushers(user, monkeypatch):
    """Processes that rush when told to, each with its own connections; and the pipes to tell them."""
    address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    monkeypatch.setenv("DATABASE_URL", urlunsplit(address))
    monkeypatch.setenv("DATABASE_POOL_SIZE", str(CONNECTIONS))
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["tests.bench.billing.rush"])
    everyone = []

    def start(*, finish=False, count=PROCESSES):
        started = []
        for _number in range(count):
            ours, theirs = forking.Pipe()
            options = {"requests": REQUESTS, "threads": REQUESTS, "finish": finish}
            process = forking.Process(target=run, args=(theirs, user.pk), kwargs=options)
            process.start()
            started.append((process, ours))
        everyone.extend(started)
        for _process, pipe in started:
            assert pipe.recv() == "ready"
        return started

    yield start
    kill(everyone)


def kill(rushing):
    for process, _pipe in rushing:
        process.kill()
    for process, _pipe in rushing:
        process.join()


def run(*arguments, **options):
    """Only where it has been imported already: Django is set up by that."""
    from tests.bench.billing import rush

    rush.serve(*arguments, **options)


def tell(rushing):
    for _process, pipe in rushing:
        pipe.send("go")


def go(rushing):
    tell(rushing)
    return [pipe.recv() for _process, pipe in rushing]


def clear():
    Reservation.objects.all().delete()
    UsageBucket.objects.all().delete()


@pytest.mark.parametrize(
    ("limits", "granted"),
    [
        ({"messages_per_window": 100}, 100),
        ({"concurrent_replies": 100}, 100),
        ({"tokens_per_month": 3000}, 100),
        ({"messages_per_window": 100, "concurrent_replies": 101, "tokens_per_month": 3030}, 100),
    ],
    ids=["messages", "concurrency", "tokens", "all three"],
)
def test_256_requests_at_once_get_exactly_what_there_is(rushers, limits, granted):
    Plan.objects.filter(key="free").update(**{**GENEROUS, **limits})
    rushing = rushers()
    for _round in range(ROUNDS):
        clear()
        outcomes = go(rushing)
        assert [outcome["errors"] for outcome in outcomes] == [[]] * PROCESSES
        assert sum(outcome["granted"] for outcome in outcomes) == granted
        assert sum(outcome["refused"] for outcome in outcomes) == PROCESSES * REQUESTS - granted


def test_taking_and_giving_back_at_once_neither_deadlocks_nor_loses_count(rushers):
    Plan.objects.filter(key="free").update(**GENEROUS)
    rushing = rushers(finish=True)
    for _round in range(ROUNDS):
        outcomes = go(rushing)
        assert [outcome["errors"] for outcome in outcomes] == [[]] * PROCESSES
    assert not Reservation.objects.filter(state="held").exists()
    assert counted() == owed()


def counted():
    """What the buckets say: of each kind how much is used and how much reserved."""
    return {bucket.kind: (bucket.used, bucket.reserved) for bucket in UsageBucket.objects.all()}


def owed():
    """What the reservations say, of which each that was settled took 16 tokens."""
    settled = Reservation.objects.filter(state="settled").count()
    return {"messages": (settled, 0), "tokens": (settled * 16, 0), "concurrency": (0, 0)}


def nothing_is_under_way():
    """PostgreSQL ends the statement that the dead have sent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state <> 'idle')"
        )
        return cursor.fetchone()[0]


@pytest.mark.parametrize("finish", [False, True], ids=["taking", "taking and giving back"])
def test_processes_killed_at_any_moment_leave_what_is_counted_true(rushers, finish):
    Plan.objects.filter(key="free").update(**GENEROUS)
    held = 0
    for number in range(max(4, ROUNDS // 20)):
        clear()
        rushing = rushers(finish=finish, count=2)
        tell(rushing)
        # Anywhere in the rush, however fast the machine is: when so many of its requests have been granted.
        wanted = random.Random(number).randrange(1, 2 * REQUESTS)
        wait_until(lambda wanted=wanted: Reservation.objects.count() >= wanted, pause=0)
        kill(rushing)
        wait_until(nothing_is_under_way)
        later = timezone.now() + quota.FIRST_LEASE + timedelta(seconds=1)
        held += quota.expire_abandoned(now=later)
        assert not Reservation.objects.filter(state="held").exists()
        if Reservation.objects.exists():
            assert counted() == owed()
    assert held, "nobody died with anything in hand"
