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
from django.db import OperationalError

from chat import rendering, streams
from chat.models import Reply
from chat.pooling import give_back
from chat.streams import Entry, Event, Keys

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 10.0
# Messages kept for a viewer who does not read; beyond them the stream is read, folded.
LONGEST_BACKLOG = 64
RETRY = b"retry: 1000\n\n"
# An event and no comment: a page is told of it, and knows a connection that is silent for one that is gone.
PING: Event = ("ping", {})
_EVENT_ID = re.compile(r"\d{1,20}-\d{1,20}")


class Viewer:
    """Somebody who follows a reply: what has come for them since they last looked."""

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self._messages: list[str] = []

    def tell(self, message: str) -> None:
        """The channel's message; of a viewer who is far behind, only that there is much to read."""
        self._messages = [*self._messages, message] if len(self._messages) < LONGEST_BACKLOG else [""]
        self._came.set()

    @property
    def has_news(self) -> bool:
        return self._came.is_set()

    async def wait(self) -> None:
        await self._came.wait()

    def take(self) -> list[str]:
        messages, self._messages = self._messages, []
        self._came.clear()
        return messages


class Hub:
    """Tells the viewers of this process what is new in their replies."""

    def __init__(self) -> None:
        self.client = streams.async_connection(retries=1)
        self._pubsub = self.client.pubsub()
        self._viewers: dict[str, set[Viewer]] = {}
        self._confirmed: dict[str, asyncio.Event] = {}
        self._reader: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def subscription(self, channel: str) -> AsyncIterator[Viewer]:
        """A viewer who is told of all news in the channel, from before the first read on."""
        viewer = Viewer()
        viewers = self._viewers.setdefault(channel, set())
        viewers.add(viewer)
        try:
            async with self._changing:
                if channel not in self._confirmed:
                    # Before the request: its confirmation may be read before the request returns.
                    self._confirmed[channel] = asyncio.Event()
                    await self._pubsub.subscribe(channel)
            if self._reader is None or self._reader.done():
                self._reader = asyncio.create_task(self._read())
            await asyncio.wait_for(self._confirmed[channel].wait(), 5)
            yield viewer
        finally:
            viewers.discard(viewer)
            async with self._changing:
                if not viewers and self._viewers.get(channel) is viewers:
                    del self._viewers[channel]
                    self._confirmed.pop(channel, None)
                    # redis has no writer while the reader is connecting again: AttributeError.
                    with contextlib.suppress(redis.RedisError, OSError, AttributeError):
                        await self._pubsub.unsubscribe(channel)

    async def _read(self) -> None:
        while self._viewers:
            try:
                message = await self._pubsub.get_message(timeout=30)
            except (redis.RedisError, OSError, AttributeError):
                logger.warning("Lost the connection to Valkey; viewers re-read until it is back")
                await asyncio.sleep(0.5)  # the client re-subscribes by itself when it reconnects
                for channel in list(self._viewers):
                    self._tell(channel, "")
                continue
            if message is None:
                continue
            channel = message["channel"]
            if message["type"] == "message":
                self._tell(channel, message["data"])
            elif message["type"] == "subscribe":
                if confirmed := self._confirmed.get(channel):
                    confirmed.set()
                self._tell(channel, "")  # what came while the connection was lost is known to the stream alone

    def _tell(self, channel: str, message: str) -> None:
        for viewer in self._viewers.get(channel, ()):
            viewer.tell(message)


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def _hub() -> Hub:
    loop = asyncio.get_running_loop()
    for stale in [known for known in _hubs if known.is_closed()]:
        del _hubs[stale]
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]


async def follow(reply_id: uuid.UUID, *, last_event_id: str = "") -> AsyncIterator[bytes]:
    """Server-sent events of a reply from after `last_event_id` (all when empty) to its `end`.

    Entries before the first read are folded: of each block only the newest is sent. When the stream is gone the
    database answers. Ends after `end`, and when Valkey or the database is away: the browser comes back and goes on from
    where it was.
    """
    position = last_event_id if _EVENT_ID.fullmatch(last_event_id) else streams.START
    yield RETRY
    async for part in _patiently(_follow(_hub(), reply_id, position, may_be_over=True)):
        yield part


async def follow_new(reply: Reply, first: Event) -> AsyncIterator[bytes]:
    """`first`, then all events of a reply that has just been asked for."""
    yield RETRY + _sse(first)
    async for part in _patiently(_follow(_hub(), reply.pk, streams.START, may_be_over=reply.is_finished)):
        yield part


async def _patiently(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for part in events:
            yield part
    except (redis.RedisError, OperationalError, OSError):
        logger.warning("Lost Valkey or the database while following a reply; the browser comes back", exc_info=True)


async def _follow(hub: Hub, reply_id: uuid.UUID, position: str, *, may_be_over: bool) -> AsyncIterator[bytes]:
    async with hub.subscription(Keys(reply_id).channel) as viewer:
        viewer.take()
        entries = await _entries(hub.client, reply_id, position)
        is_silent = may_be_over and not entries
        while True:
            for entry_id, event in _folded(entries):
                position = entry_id
                yield _sse(event, entry_id=entry_id)
                if event[0] == "end":
                    return
            if is_silent and not viewer.has_news and (final := await _final_events(reply_id)):
                for event in final:
                    yield _sse(event)
                return
            carried = None
            try:
                await asyncio.wait_for(viewer.wait(), KEEP_ALIVE_SECONDS)
                carried = streams.news_after(position, viewer.take())
            except TimeoutError:
                yield _sse(PING)
            entries = await _entries(hub.client, reply_id, position) if carried is None else carried
            is_silent = carried is None and not entries


async def _entries(client: redis.asyncio.Redis, reply_id: uuid.UUID, position: str) -> list[Entry]:
    start = position if position == streams.START else f"({position}"
    rows: Any = await client.xrange(Keys(reply_id)["events"], min=start, max="+")
    return [(entry_id, (fields["event"], json.loads(fields["data"]))) for entry_id, fields in rows]


def _folded(entries: list[Entry]) -> list[Entry]:
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
