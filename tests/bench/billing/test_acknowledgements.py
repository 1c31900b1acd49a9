"""Signed events posted to the running site: how many a second are stored for good and answered, and how soon.

    TEST_DURABLE=1 python -m pytest tests/bench/billing/test_acknowledgements.py --override-ini=testpaths=tests/bench -s

Everything runs beside it on the same machine, as `make run` starts it: the worker takes the events off the table as
they come, and with `TEST_DURABLE=1`, without which nothing is measured, PostgreSQL waits for the disk at each commit.
`ACK_SECONDS` (10) of each, first as many as 16 connections can, then 200 a second.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import statistics
import time
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from stripe import WebhookSignature

from billing.models import StripeEvent
from tests.bench.durable import needs_durable
from tests.stack.processes import Stack

pytestmark = needs_durable

SECONDS = float(os.environ.get("ACK_SECONDS", "10"))
CONNECTIONS, OBJECTS, RATE = 16, 500, 200.0
LEAST_A_SECOND, LONGEST_MS = 500, 250


def events() -> Iterator[bytes]:
    """Snapshot events of a usual size, about ever the same objects, as in a busy hour."""
    run = uuid.uuid4().hex[:8]
    for number in itertools.count():
        subject = {"id": f"sub_{run}_{number % OBJECTS}", "object": "subscription", "padding": "x" * 2000}
        event = {
            "id": f"evt_{run}_{number}",
            "object": "event",
            "type": "customer.subscription.updated",
            "created": int(time.time()),
            "api_version": "2026-10-28.endive",
            "data": {"object": subject},
        }
        yield json.dumps(event).encode()


class Line:
    """One connection that is kept open."""

    def __init__(self, stack: Stack) -> None:
        self._at = urlsplit(stack.url)
        self._secret = stack.env["STRIPE_WEBHOOK_SECRET"]

    async def open(self) -> Line:
        self._reader, self._writer = await asyncio.open_connection(self._at.hostname, self._at.port)
        return self

    async def post(self, body: bytes) -> float:
        """Seconds until the answer, which is 200."""
        signature = WebhookSignature.generate_signature_header(body.decode(), self._secret)
        head = (
            f"POST /billing/webhook HTTP/1.1\r\nHost: {self._at.netloc}\r\nContent-Type: application/json\r\n"
            f"Stripe-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        assert answer.startswith("http/1.1 200"), answer
        length = next(int(line.split(":")[1]) for line in answer.splitlines() if line.startswith("content-length"))
        await self._reader.readexactly(length)
        return time.perf_counter() - began


async def as_many_as_can(stack: Stack, found: Iterator[bytes]) -> float:
    """Acknowledgements a second."""
    count, ends = 0, time.perf_counter() + SECONDS

    async def post() -> None:
        nonlocal count
        line = await Line(stack).open()
        while time.perf_counter() < ends:
            await line.post(next(found))
            count += 1

    await asyncio.gather(*(post() for _number in range(CONNECTIONS)))
    return count / SECONDS


async def at_a_rate(stack: Stack, found: Iterator[bytes]) -> list[float]:
    """Seconds from when each was due until it was answered: who has to wait for a free connection waits too."""
    free: asyncio.Queue[Line] = asyncio.Queue()
    for _number in range(CONNECTIONS):
        free.put_nowait(await Line(stack).open())

    async def post(due: float) -> float:
        line = await free.get()
        await line.post(next(found))
        free.put_nowait(line)
        return time.perf_counter() - due

    began, tasks = time.perf_counter(), []
    for number in range(int(SECONDS * RATE)):
        due = began + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(post(due)))
    return list(await asyncio.gather(*tasks))


def test_events_are_acknowledged_fast_and_durably(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    found = events()
    a_second = asyncio.run(as_many_as_can(stack, found))
    stored = StripeEvent.objects.count()
    waits = [1000 * wait for wait in asyncio.run(at_a_rate(stack, found))]
    p99 = statistics.quantiles(waits, n=100, method="inclusive")[-1]
    worked_off = StripeEvent.objects.exclude(state="waiting").count()
    with capsys.disabled():
        print(f"\n{a_second:.0f} acknowledgements a second over {CONNECTIONS} connections")
        print(f"at {RATE:.0f} a second: median {statistics.median(waits):.1f} ms, p99 {p99:.1f} ms")
        print(f"{worked_off} of {stored + len(waits)} events were worked off meanwhile")
    assert stored == round(a_second * SECONDS)
    assert StripeEvent.objects.count() == stored + len(waits)
    assert a_second >= LEAST_A_SECOND
    assert p99 <= LONGEST_MS
