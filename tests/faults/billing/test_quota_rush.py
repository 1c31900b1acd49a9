"""Many processes rush at one quota: nothing is oversold, nobody waits in a circle, and the dead leave nothing behind.

`QUOTA_ROUNDS` sets how many rounds of 256 requests at once are run; the default is short.
"""

from __future__ import annotations

import multiprocessing
import os
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from billing import quota
from billing.models import Plan, Reservation, UsageBucket
from billing.plans import seed_plans

ROUNDS = int(os.environ.get("QUOTA_ROUNDS", "1"))
PROCESSES, THREADS, REQUESTS = 4, 16, 64
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
    monkeypatch.setenv("DATABASE_POOL_SIZE", str(THREADS))
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["tests.bench.billing.rush"])
    started = []

    def start(*, finish=False, count=PROCESSES):
        for _number in range(count):
            ours, theirs = forking.Pipe()
            options = {"requests": REQUESTS, "threads": THREADS, "finish": finish}
            process = forking.Process(target=run, args=(theirs, user.pk), kwargs=options)
            process.start()
            started.append((process, ours))
        for _process, pipe in started:
            assert pipe.recv() == "ready"
        return started

    yield start
    for process, _pipe in started:
        process.kill()
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
    settled = Reservation.objects.filter(state="settled").count()
    levels = {bucket.kind: (bucket.used, bucket.reserved) for bucket in UsageBucket.objects.all()}
    assert levels == {"messages": (settled, 0), "tokens": (settled * 16, 0), "concurrency": (0, 0)}


def test_what_killed_processes_held_comes_back_when_their_leases_end(rushers, user):
    Plan.objects.filter(key="free").update(**GENEROUS)
    rushing = rushers(count=2)
    tell(rushing)
    rushing[0][1].recv()
    for process, _pipe in rushing:
        process.kill()
        process.join()
    later = timezone.now() + quota.FIRST_LEASE + timedelta(seconds=1)
    assert quota.expire_abandoned(now=later) >= REQUESTS
    assert not Reservation.objects.filter(state="held").exists()
    assert not UsageBucket.objects.filter(reserved__gt=0).exists()
