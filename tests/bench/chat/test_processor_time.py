"""What a message costs the processor until its first block is there, by process: the same on a busy machine.

`FIRST_TOKENS` (60) messages, each when the model is idle; medians in microseconds.
"""

from __future__ import annotations

import os
import statistics
import time
from contextlib import suppress

import httpx
import redis
from django.conf import settings
from django.db import connection

from tests.bench.chat import first_token
from tests.stack.processes import Stack

COUNT = int(os.environ.get("FIRST_TOKENS", "60"))


def processes(stack: Stack) -> dict[str, list[int]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        postgres = [pid for (pid,) in cursor.fetchall()]
    valkey = redis.Redis.from_url(settings.VALKEY_URL).info("server")["process_id"]
    return {
        **{name: [stack.pid(name)] for name in ("web", "worker", "inference")},
        "postgres": postgres,
        "valkey": [valkey],
    }


def used(pids: list[int]) -> float:
    """Microseconds of the processor that they have had, by the clock that Linux keeps for each process."""
    nanoseconds = 0
    for pid in pids:
        with suppress(OSError):  # PostgreSQL ends processes that it needs no more
            nanoseconds += time.clock_gettime_ns((~pid << 3) | 2)
    return nanoseconds / 1000


def test_processor_time_to_the_first_block(stack: Stack) -> None:
    with httpx.Client(base_url=stack.inference_url, timeout=60) as model:
        costs: list[dict[str, float]] = []
        for number in range(COUNT + first_token.WARM_UP):
            if number % first_token.MESSAGES_A_PERSON == 0:
                client = first_token.signed_in_client(stack.url)
            first_token.wait_for_idle(model)
            found = processes(stack)
            before = {name: used(pids) for name, pids in found.items()}
            first_token.through_the_site(
                client,
                f"Question {number + 10_000}: name a colour and say why you like it.",
                at_first_block=lambda: costs.append(
                    {name: used(pids) - before[name] for name, pids in found.items()}  # noqa: B023 - called at once
                ),
            )
    costs = costs[first_token.WARM_UP :]
    for name in costs[0]:
        print(f"{name:12}{statistics.median(cost[name] for cost in costs):9.0f}")
    print(f"{'all but it':12}{statistics.median(sum(c.values()) - c['inference'] for c in costs):9.0f}")
