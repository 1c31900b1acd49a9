"""A flood of free requests at the model service, and what somebody who pays waits for the first token meanwhile.

`python -m tests.bench.billing.flood URL AT_ONCE TOKENS` is the flood: it keeps that many free requests, for replies of
that length, in the service until its input ends, lets those that are in come to their end, and prints how each fared.
`measure` runs it beside paying requests.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from inference.bench import workload
from tests.stack.surroundings import ROOT

FREE, PAYING = 2, 0
FREE_PROMPT, PAID_REPLY = 60, 8
# Seconds after which something is wrong: until the service is full, and until all that were in it have their replies.
LONGEST_FILLING, LONGEST_DRAINING = 120, 480


@dataclass(frozen=True)
class Served:
    """Seconds until the first token and until the end."""

    first: float
    whole: float


@dataclass(frozen=True)
class Figures:
    """How those who pay fared alone and in the flood, by the length of their prompts, and those in it."""

    unloaded: dict[int, list[Served]]
    flooded: dict[int, list[Served]]
    free: list[Served]
    at_once: int
    slots: int

    def ratio(self, length: int) -> float:
        """p95 of the time to the first token in the flood, to that of the unloaded service."""
        return p95(self.flooded[length]) / p95(self.unloaded[length])

    @property
    def bound(self) -> float:
        """What nobody may wait longer for: all who can be ahead in the line, a set of slots at a time, each as slow as
        the slowest. A quarter of the slots is kept for those who pay."""
        longest = max(served.whole - served.first for served in self.free)
        return (self.at_once / (self.slots * 3 / 4) + 1) * longest


def median(served: list[Served]) -> float:
    return statistics.median(each.first for each in served)


def p95(served: list[Served]) -> float:
    return statistics.quantiles([each.first for each in served], n=20, method="inclusive")[-1]


async def ask(url: str, *, prompt: int, reply: int, priority: int, seed: int) -> Served:
    """One streamed request, as plain as can be: the client must not take the processor from the model."""
    at = urlsplit(url)
    body = {
        "messages": [message.as_json() for message in workload.prompt(prompt, seed=seed)],
        "max_tokens": reply,
        "ignore_eos": True,
        "stream": True,
        "priority": priority,
    }
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Type: application/json\r\n"
    began, first = time.perf_counter(), 0.0
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content)
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"not served: {status!r} {await reader.read()!r}")
    while line := await reader.readline():
        if not first and b'"content":"' in line and b'"content":""' not in line:
            first = time.perf_counter()
            if priority == PAYING:
                break
    while await reader.read(1 << 16):
        pass
    writer.close()
    return Served(first - began, time.perf_counter() - began)


async def flood(url: str, at_once: int, tokens: int) -> list[Served]:
    """Keeps `at_once` free requests in the service until standard input ends."""
    seeds, is_over, served = itertools.count(1_000_000), asyncio.Event(), list[Served]()

    async def one_after_another() -> None:
        while not is_over.is_set():
            served.append(await ask(url, prompt=FREE_PROMPT, reply=tokens, priority=FREE, seed=next(seeds)))

    async def listen() -> None:
        await asyncio.to_thread(sys.stdin.read)
        is_over.set()

    await asyncio.gather(listen(), *(one_after_another() for _number in range(at_once)))
    return served


def measure(url: str, *, slots: int, at_once: int, tokens: int, prompts: Sequence[int], count: int) -> Figures:
    """`count` requests that pay of each length, one after another, before a flood of replies of `tokens` and in it."""
    seeds = itertools.count(1)

    def pay(prompt: int) -> list[Served]:
        async def all_of_them() -> list[Served]:
            found = []
            for _number in range(count):
                async with asyncio.timeout(LONGEST_FILLING):
                    found.append(await ask(url, prompt=prompt, reply=PAID_REPLY, priority=PAYING, seed=next(seeds)))
                await asyncio.sleep(0.05)
            return found

        return asyncio.run(all_of_them())

    pay(prompts[0])  # caches and connections get warm
    unloaded = {prompt: pay(prompt) for prompt in prompts}
    command = [sys.executable, "-m", "tests.bench.billing.flood", url, str(at_once), str(tokens)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as flooding:
        try:
            _wait_until_full(url, slots)
            flooded = {prompt: pay(prompt) for prompt in prompts}
            printed, _nothing = flooding.communicate("", timeout=LONGEST_DRAINING)
        finally:
            flooding.kill()
    return Figures(unloaded, flooded, [Served(*pair) for pair in json.loads(printed)], at_once, slots)


def _wait_until_full(url: str, slots: int) -> None:
    """Every slot that a free request may have is taken, and more wait than fit."""
    import httpx

    gives_up_at = time.monotonic() + LONGEST_FILLING
    while time.monotonic() < gives_up_at:
        lines = httpx.get(f"{url}/metrics", timeout=30).text.splitlines()
        values = {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("inference_")}
        if values["inference_slots_busy"] >= slots // 2 and values["inference_queue_length"] >= slots:
            return
        time.sleep(0.1)
    raise TimeoutError(f"the service is not full after {LONGEST_FILLING} s: {values}")


if __name__ == "__main__":
    fared = asyncio.run(flood(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    print(json.dumps([[served.first, served.whole] for served in fared]))
