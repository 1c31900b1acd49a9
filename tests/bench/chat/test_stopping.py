"""How soon a reply stops: from the request until nothing more is written, and until the model is free for others.

`python -m pytest tests/bench/chat/test_stopping.py --override-ini=testpaths=tests/bench -s` stops `STOPS` (50)
replies of the real model in the middle, one after the other, and prints both times.
"""

from __future__ import annotations

import json
import os
import statistics
import time
import uuid

import httpx

from billing.models import Plan
from chat.models import Reply
from tests import factories
from tests.signing_in import headers_of
from tests.stack.processes import Stack

STOPS = int(os.environ.get("STOPS", "50"))
BLOCKS_BEFORE = 12
LONGEST_SECONDS = 30
LONG = "Write a very long story about a lighthouse keeper, with many paragraphs."


def stopped(client: httpx.Client, model: httpx.Client) -> tuple[float, float]:
    """Milliseconds from asking for the stop of a reply to its end event, and to the free slot in the model service."""
    wish = {"client_id": str(uuid.uuid4()), "content": LONG, "stream": True}
    with client.stream("POST", "/api/conversations", json=wish) as events:
        reply, event, blocks, asked_at = "", "", 0, 0.0
        for line in events.iter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
                blocks += event == "block"
            elif line.startswith("data: ") and not reply:
                reply = json.loads(line.removeprefix("data: "))["id"]
            if event == "end":
                ended = time.perf_counter() - asked_at
                break
            if blocks == BLOCKS_BEFORE and not asked_at:
                asked_at = time.perf_counter()
                client.post(f"/api/replies/{reply}/stop").raise_for_status()
    gives_up_at = time.monotonic() + LONGEST_SECONDS
    while busy_slots(model):
        assert time.monotonic() < gives_up_at, "the model is not free"
        time.sleep(0.002)  # as short as the question itself takes: the time told is too long by no more than that
    return ended * 1000, (time.perf_counter() - asked_at) * 1000


def busy_slots(model: httpx.Client) -> float:
    lines = model.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("inference_slots_busy"))


def test_stopping(stack: Stack, endless_replies: None) -> None:
    Plan.objects.update(messages_per_window=10_000)
    headers = headers_of(factories.UserFactory(), stack.url)
    client = httpx.Client(base_url=stack.url, headers=headers, timeout=60)
    model = httpx.Client(base_url=stack.inference_url, timeout=60)
    samples = [stopped(client, model) for _number in range(STOPS + 3)][3:]  # the first ones warm up
    for name, values in zip(("the end is told", "the model is free"), zip(*samples, strict=True), strict=True):
        median, p95 = statistics.median(values), statistics.quantiles(values, n=20)[-1]
        print(f"\n{STOPS} stops until {name}: median {median:.0f} ms, p95 {p95:.0f} ms, most {max(values):.0f} ms")
    assert set(Reply.objects.values_list("state", flat=True)) == {"stopped"}
