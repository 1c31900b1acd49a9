"""One client for all engines: streams chat completions over HTTP and notes when each token came."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from inference.bench.peers import Peer
from inference.bench.workload import Chat

PATIENCE = 600.0


@dataclass
class Timing:
    """One reply: when it was asked for, and when each piece of it came (seconds of one clock)."""

    asked: float
    arrivals: list[float] = field(default_factory=list)
    text: str = ""

    @property
    def first_token(self) -> float:
        return self.arrivals[0] - self.asked

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.arrivals, self.arrivals[1:], strict=False)]


@dataclass(frozen=True)
class Burst:
    """Replies that were made at once, and the time from the first question to the last token."""

    timings: list[Timing]
    seconds: float
    tokens: int

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds


def run_burst(peer: Peer, chats: Sequence[Chat], *, new_tokens: int) -> Burst:
    """Ask for all chats at the same moment, greedily, for exactly `new_tokens` tokens each."""
    return asyncio.run(_run_burst(peer.address, chats, peer.request(new_tokens), new_tokens))


async def _run_burst(address: str, chats: Sequence[Chat], request: dict[str, Any], new_tokens: int) -> Burst:
    limits = httpx.Limits(max_connections=len(chats))
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE, limits=limits) as client:
        began = time.perf_counter()
        timings = await asyncio.gather(*(_stream(client, chat, request) for chat in chats))
        return Burst(list(timings), time.perf_counter() - began, new_tokens * len(chats))


async def _stream(client: httpx.AsyncClient, chat: Chat, request: dict[str, Any]) -> Timing:
    body = request | {"messages": [message.as_json() for message in chat], "stream": True}
    timing = Timing(asked=time.perf_counter())
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.status_code != httpx.codes.OK:
            raise RuntimeError(f"{response.status_code}: {(await response.aread())[:300]!r}")
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                _note(timing, json.loads(line[6:]))
    if not timing.arrivals:
        raise RuntimeError("a reply without a token")
    return timing


def _note(timing: Timing, chunk: dict[str, object]) -> None:
    choices = chunk.get("choices")
    if not isinstance(choices, list) or not choices:
        return
    text = choices[0].get("delta", {}).get("content")
    if text:
        timing.arrivals.append(time.perf_counter())
        timing.text += text
