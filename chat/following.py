"""The reading end of a reply's stream: what a browser gets as server-sent events.

One subscription connection serves all viewers of a web process; a viewer costs a task and an `asyncio.Event`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import redis.asyncio
from asgiref.sync import sync_to_async

from chat import rendering, streams
from chat.models import Reply
from chat.pooling import give_back
from chat.streams import Event, Keys

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 10.0
_EVENT_ID = re.compile(r"\d{1,20}-\d{1,20}")


class Hub:
    """Wakes the viewers of this process when one of their replies has news."""

    def __init__(self) -> None:
        self.client = streams.async_connection()
        self._pubsub = self.client.pubsub()
        self._viewers: dict[str, set[asyncio.Event]] = {}
        self._confirmed: dict[str, asyncio.Event] = {}
        self._reader: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def subscription(self, channel: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever the channel has news, from before the first read on."""
        news = asyncio.Event()
        viewers = self._viewers.setdefault(channel, set())
        viewers.add(news)
        try:
            async with self._changing:
                if channel not in self._confirmed:
                    # Before the request: its confirmation may be read before the request returns.
                    self._confirmed[channel] = asyncio.Event()
                    await self._pubsub.subscribe(channel)
            if self._reader is None or self._reader.done():
                self._reader = asyncio.create_task(self._read())
            await asyncio.wait_for(self._confirmed[channel].wait(), 5)
            yield news
        finally:
            viewers.discard(news)
            async with self._changing:
                if not viewers and self._viewers.get(channel) is viewers:
                    del self._viewers[channel]
                    self._confirmed.pop(channel, None)
                    with contextlib.suppress(redis.RedisError, OSError):
                        await self._pubsub.unsubscribe(channel)

    async def _read(self) -> None:
        while self._viewers:
            try:
                message = await self._pubsub.get_message(timeout=30)
            except (redis.RedisError, OSError):
                logger.warning("Lost the connection to Valkey; viewers re-read until it is back")
                await asyncio.sleep(0.5)  # the client re-subscribes by itself when it reconnects
                self._wake(self._viewers)
                continue
            if message is None:
                continue
            if message["type"] == "subscribe" and (confirmed := self._confirmed.get(message["channel"])):
                confirmed.set()
            self._wake([message["channel"]])

    def _wake(self, channels: Any) -> None:
        for channel in list(channels):
            for news in self._viewers.get(channel, ()):
                news.set()


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def _hub() -> Hub:
    loop = asyncio.get_running_loop()
    for stale in [known for known in _hubs if known.is_closed()]:
        del _hubs[stale]
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]


async def follow(reply_id: uuid.UUID, *, last_event_id: str) -> AsyncIterator[bytes]:
    """Server-sent events of a reply from after `last_event_id` (all when empty) to its `end`.

    Entries before the first read are folded: of each block only the newest is sent. When the stream is gone the
    database answers. Ends after `end`, and when Valkey is away: the browser comes back and goes on from where it was.
    """
    position = last_event_id if _EVENT_ID.fullmatch(last_event_id) else "-"
    yield b"retry: 1000\n\n"
    try:
        async for part in _follow(_hub(), reply_id, position):
            yield part
    except (redis.RedisError, OSError, TimeoutError):
        logger.warning("Lost Valkey while following a reply; the browser will come back", exc_info=True)


async def _follow(hub: Hub, reply_id: uuid.UUID, position: str) -> AsyncIterator[bytes]:
    async with hub.subscription(Keys(reply_id).channel) as news:
        while True:
            news.clear()
            entries = await _entries(hub.client, reply_id, position)
            for entry_id, event in _folded(entries):
                position = entry_id
                yield _sse(event, entry_id=entry_id)
                if event[0] == "end":
                    return
            if not entries and not news.is_set() and (final := await _final_events(reply_id)):
                for event in final:
                    yield _sse(event)
                return
            try:
                await asyncio.wait_for(news.wait(), KEEP_ALIVE_SECONDS)
            except TimeoutError:
                yield b": waiting\n\n"


async def _entries(client: redis.asyncio.Redis, reply_id: uuid.UUID, position: str) -> list[tuple[str, Event]]:
    start = position if position == "-" else f"({position}"
    rows: Any = await client.xrange(Keys(reply_id)["events"], min=start, max="+")
    return [(entry_id, (fields["event"], json.loads(fields["data"]))) for entry_id, fields in rows]


def _folded(entries: list[tuple[str, Event]]) -> list[tuple[str, Event]]:
    """The same news with fewer events: of each block, and of the state, only the newest; order kept."""
    newest = {(name, data.get("index")): index for index, (_id, (name, data)) in enumerate(entries)}
    return [entries[index] for index in sorted(newest.values())]


async def _final_events(reply_id: uuid.UUID) -> list[Event] | None:
    """Everything from the database when the reply is finished; None while it is not."""
    return await sync_to_async(_read_final_events, thread_sensitive=False)(reply_id)


def _read_final_events(reply_id: uuid.UUID) -> list[Event] | None:
    try:
        return _final_events_of(Reply.objects.select_related("message").filter(pk=reply_id).first())
    finally:
        give_back()  # back to the pool: this thread serves other viewers next


def _final_events_of(reply: Reply | None) -> list[Event] | None:
    if reply is None:
        return [("end", {"state": Reply.State.FAILED, "error": "gone"})]
    if not reply.is_finished:
        return None
    blocks = rendering.render_blocks(reply.message.content)
    return [("block", {"index": index, "html": html}) for index, html in enumerate(blocks)] + [("end", reply.ending)]


def _sse(event: Event, *, entry_id: str = "") -> bytes:
    name, data = event
    identity = f"id: {entry_id}\n" if entry_id else ""
    return f"{identity}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
