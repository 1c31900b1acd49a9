"""Events written a second, with their snapshot, consent and live rating, and how long each took.

`FEEDBACK_EVENTS` sets how many each process writes, `FEEDBACK_PROCESSES` how many write at once.
"""

from __future__ import annotations

import multiprocessing
import os
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from feedback.models import FeedbackEvent
from tests import factories

EVENTS = int(os.environ.get("FEEDBACK_EVENTS", "1000"))
PROCESSES = int(os.environ.get("FEEDBACK_PROCESSES", "2"))
REPLIES = 50


@pytest.mark.django_db(transaction=True)
def test_events_written(monkeypatch: pytest.MonkeyPatch) -> None:
    address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    monkeypatch.setenv("DATABASE_URL", urlunsplit(address))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "config.settings")
    from tests.bench.feedback.writing import write

    spawning = multiprocessing.get_context("spawn")
    pipes, writers = [], []
    for _number in range(PROCESSES):
        user = factories.consenting_user()
        replies = [factories.conversation(user, ("What is 2 + 2?", "Four.")).pk for _reply in range(REPLIES)]
        here, there = spawning.Pipe()
        writers.append(spawning.Process(target=write, args=(user.pk, replies, EVENTS, there)))
        pipes.append(here)
    for writer in writers:
        writer.start()
    for pipe in pipes:
        assert pipe.recv() == "ready"
    for pipe in pipes:
        pipe.send("go")
    results = [pipe.recv() for pipe in pipes]
    for writer in writers:
        writer.join(60)
    times = sorted(milliseconds for _seconds, taken, _cpu in results for milliseconds in taken)
    rate = PROCESSES * EVENTS / max(seconds for seconds, _taken, _cpu in results)
    median, worst = times[len(times) // 2], times[int(0.99 * len(times))]
    cpu = 1000 * sum(cpu for _seconds, _taken, cpu in results) / len(times)
    print(f"\n{rate:.0f} events a second in {PROCESSES} processes, median {median:.2f} ms, p99 {worst:.2f} ms")
    print(f"{cpu:.2f} ms of CPU an event in the writer, PostgreSQL's not counted")
    assert FeedbackEvent.objects.count() == PROCESSES * EVENTS
