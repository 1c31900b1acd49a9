"""Many streams at once through web, worker and Valkey, against a paced double of the model.

`python -m pytest tests/bench/chat/test_load.py --override-ini=testpaths=tests/bench -s` prints the delay that we add,
memory and processor time. `LOAD_STREAMS` (300) and `LOAD_IDLE` (2000) set the size; the double sends 20 words a second.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from billing.models import Plan
from chat import streams
from chat.models import Reply
from tests import factories
from tests.signing_in import headers_of
from tests.stack.processes import ROOT, Stack

STREAMS = int(os.environ.get("LOAD_STREAMS", "300"))
IDLE = int(os.environ.get("LOAD_IDLE", "2000"))
_WORD = re.compile(r"w(\d+)@([\d.]+)")


@pytest.fixture
def paced(stack: Stack, transactional_db: None) -> Iterator[Stack]:
    """The stack with the double in the place of the model service."""
    stack.kill("inference")
    stack.env["WORKER_THREADS"] = str(STREAMS + 20)  # a thread waits for each reply that is being written
    stack.restart("worker")
    environment = {**stack.env, "PYTHONPATH": str(ROOT)}
    double = subprocess.Popen([sys.executable, "-m", "tests.bench.chat.model_double"], env=environment, cwd=ROOT)
    try:
        while True:
            try:
                httpx.get(f"{stack.inference_url}/readyz").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield stack
    finally:
        double.kill()
        double.wait()
        del stack.env["WORKER_THREADS"]
        stack.kill("worker")


def usage(stack: Stack, name: str) -> tuple[float, float]:
    """(processor seconds, resident megabytes) of a part and its children."""
    pid = stack.pid(name)
    family = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    seconds = megabytes = 0.0
    for member in family:
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        megabytes += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return seconds, megabytes


async def watch(client: httpx.AsyncClient, headers: dict[str, str], delays: list[float]) -> int:
    """Send a message and follow it to its end; returns how many words came, in order, each once."""
    body = {"client_id": str(uuid.uuid4()), "content": "Go"}
    # Among hundreds a viewer may come to its answer later than the web keeps a connection, and httpx, unlike a browser,
    # fails on one that was closed meanwhile.
    answer = await client.post("/api/conversations", json=body, headers={**headers, "Connection": "close"})
    answer.raise_for_status()
    expected, attached = 0, 0.0
    async with client.stream("GET", answer.json()["events_url"], headers=headers) as events:
        async for line in events.aiter_lines():
            attached = attached or time.time()
            if line == "event: end":
                break
            if not line.startswith("data: "):
                continue
            now = time.time()
            for number, sent in _WORD.findall(line):
                if int(number) < expected:
                    continue  # a block is sent again whole when it grows
                assert int(number) == expected, "a word is missing or out of order"
                expected += 1
                if float(sent) > attached:  # what was said before the viewer came is not late
                    delays.append(now - float(sent))
    return expected


def test_many_streams_at_once(paced: Stack) -> None:
    Plan.objects.update(messages_per_window=1000, concurrent_replies=100)
    people = [headers_of(factories.UserFactory(), paced.url) for _number in range(STREAMS)]
    delays: list[float] = []

    async def everybody() -> list[int]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=paced.url, timeout=120, limits=limits) as client:
            return await asyncio.gather(*(watch(client, headers, delays) for headers in people))

    before = {name: usage(paced, name) for name in ("web", "worker")}
    began = time.monotonic()
    counts = asyncio.run(everybody())
    seconds = time.monotonic() - began
    words = sum(counts)
    p50, p95 = statistics.median(delays), statistics.quantiles(delays, n=20)[-1]
    print(f"\n{STREAMS} streams of {counts[0]} words in {seconds:.0f} s: delay added p50 {p50:.3f} s, p95 {p95:.3f} s")
    for name, (spent, memory) in before.items():
        now_spent, now_memory = usage(paced, name)
        per_thousand = (now_spent - spent) * 1000 / words
        print(
            f"{name}: {per_thousand:.2f} CPU s a 1,000 tokens, {(now_memory - memory) * 1000 / STREAMS:.0f} kB a stream"
        )
    assert len(set(counts)) == 1
    assert Reply.objects.filter(state=Reply.State.COMPLETE).count() == STREAMS


def test_idle_viewers(paced: Stack) -> None:
    """Viewers of replies that nobody writes yet, all held by one web process."""
    paced.kill("worker")
    user = factories.UserFactory()
    waiting = factories.conversation(user, ("Hi", "x"))
    Reply.objects.update(state="queued", finished_at=None)
    headers = headers_of(user, paced.url)
    before = usage(paced, "web")

    async def hold() -> tuple[float, int]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=paced.url, timeout=120, limits=limits) as client:
            held, ended = 0, 0
            ready = asyncio.Event()

            async def one() -> None:
                nonlocal held, ended
                async with client.stream("GET", f"/api/replies/{waiting.pk}/events", headers=headers) as events:
                    assert events.status_code == 200
                    held += 1
                    if held == IDLE:
                        ready.set()
                    async for line in events.aiter_lines():
                        ended += line == "event: end"

            viewers = [asyncio.create_task(one()) for _number in range(IDLE)]
            await asyncio.wait_for(ready.wait(), 300)
            memory = usage(paced, "web")[1] - before[1]
            await asyncio.to_thread(streams.publish_end, waiting.pk, {"state": "stopped"})
            await asyncio.wait_for(asyncio.gather(*viewers), 120)
            return memory, ended

    memory, ended = asyncio.run(hold())
    print(f"\n{IDLE} idle viewers on one web process: {memory * 1000 / IDLE:.1f} kB each; all were told the end")
    assert ended == IDLE
