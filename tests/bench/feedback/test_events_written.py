"""Events written a second, with their snapshot, consent and live rating, and how long each call took.

One at a time as a thumb writes them, and fifty at a time as the API takes them; each call is a transaction, each reply
has one event, every tenth call is sent twice. `FEEDBACK_EVENTS` sets how many each process writes, `FEEDBACK_PROCESSES`
and `FEEDBACK_THREADS` how many write at once. With `TEST_DURABLE=1` PostgreSQL waits for the disk at every commit.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import uuid
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from chat.models import Conversation, Message, Reply
from feedback.models import FeedbackEvent, Rating
from tests import factories
from tests.stack.surroundings import surroundings

EVENTS = int(os.environ.get("FEEDBACK_EVENTS", "5000"))
PROCESSES = int(os.environ.get("FEEDBACK_PROCESSES", "2"))
THREADS = int(os.environ.get("FEEDBACK_THREADS", "1"))
LEAST_A_SECOND, MOST_MILLISECONDS = 2_000, 50


def replies_of(user: User, count: int) -> list[uuid.UUID]:
    """So many finished replies, each in a conversation of its own."""
    now = timezone.now()
    talks = Conversation.objects.bulk_create(Conversation(user=user, title="A talk") for _number in range(count))
    questions = Message.objects.bulk_create(
        Message(conversation=talk, role="user", content="What is 2 + 2?", client_id=uuid.uuid4()) for talk in talks
    )
    answers = Message.objects.bulk_create(
        Message(conversation_id=asked.conversation_id, parent=asked, role="assistant", content="Four. " * 200)
        for asked in questions
    )
    Reply.objects.bulk_create(
        Reply(
            message=answer, user=user, state=Reply.State.COMPLETE, queue="reply.free", priority=2, max_tokens=512,
            model="smollm2-135m-instruct", model_version="smollm2-135m-instruct@1", seed=7, started_at=now,
            finished_at=now, system_prompt="Be helpful.", finish_reason="stop", prompt_tokens=20, completion_tokens=10,
        )
        for answer in answers
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE chat_conversation, chat_message, chat_reply")
    return [answer.pk for answer in answers]


def cpu_of_postgres() -> float:
    """Seconds that this run's PostgreSQL has computed, ended sessions included; nan where it is another's."""
    server = surroundings.server("postgres")
    if server is None:
        return math.nan
    first = server.pid
    processes = [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]
    ticks = 0
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):
            ticks += sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("at_once", [1, 50])
@pytest.mark.django_db(transaction=True)
def test_events_written(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    monkeypatch.setenv("DATABASE_URL", urlunsplit(address))
    monkeypatch.setenv("DATABASE_POOL_SIZE", str(THREADS + 2))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "config.settings")
    from tests.bench.feedback.writing import write

    spawning = multiprocessing.get_context("spawn")
    pipes, writers = [], []
    for _number in range(PROCESSES):
        user = factories.consenting_user()
        here, there = spawning.Pipe()
        given = (user.pk, replies_of(user, EVENTS), at_once, THREADS, there)
        writers.append(spawning.Process(target=write, args=given))
        pipes.append(here)
    for writer in writers:
        writer.start()
    for pipe in pipes:
        assert pipe.recv() == "ready"
    before = cpu_of_postgres()
    for pipe in pipes:
        pipe.send("go")
    results = [pipe.recv() for pipe in pipes]
    for writer in writers:
        writer.join(60)
    times = sorted(milliseconds for _seconds, taken, _cpu in results for milliseconds in taken)
    events = PROCESSES * EVENTS
    rate = events / max(seconds for seconds, _taken, _cpu in results)
    median, worst = times[len(times) // 2], times[int(0.99 * len(times))]
    cpu = 1000 * sum(cpu for _seconds, _taken, cpu in results) / events
    with connection.cursor() as cursor:
        cursor.execute("SHOW fsync")
        waits = "waiting for the disk" if cursor.fetchone() == ("on",) else "not waiting for the disk"
    writers_told = f"{PROCESSES} processes of {THREADS} threads, {at_once} at once, {waits}"
    print(f"\n{rate:,.0f} events a second by {writers_told}; a call takes {median:.1f} ms, p99 {worst:.1f} ms")
    print(f"CPU of an event: {cpu:.2f} ms, and {1000 * (cpu_of_postgres() - before) / events:.2f} ms of PostgreSQL's")
    assert FeedbackEvent.objects.count() == Rating.objects.count() == events
    assert rate >= LEAST_A_SECOND
    assert worst < MOST_MILLISECONDS
