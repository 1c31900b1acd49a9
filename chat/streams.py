"""The event stream of a reply in Valkey: a worker appends, any number of browsers follow, from anywhere, any time.

Keys of a reply, under one hash tag so that a cluster keeps them together:
  reply:{id}:events   `block`, `state` and `end` events; `block i html` replaces block i, so replays are harmless
  reply:{id}:text     the raw text shown so far; where a new worker goes on when the first one died
  reply:{id}:attempt  the worker's attempt; an older attempt's writes are refused (fencing)
  reply:{id}:stop     exists once somebody asked to stop
A message on the channel `reply:{id}` says that there is something new: lines of the id before it, and of id, event and
data of each new entry. An empty one says no more than that. `news_after` reads them.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

KEEP_SECONDS = 24 * 3600
KEEP_AFTER_END_SECONDS = 600
CONNECTIONS = 64

Event = tuple[str, dict[str, Any]]
Entry = tuple[str, Event]
"""An event with its id in the stream."""
START = "-"
"""The position before the first entry."""


@dataclass(frozen=True)
class Keys:
    reply_id: uuid.UUID

    def __getitem__(self, part: str) -> str:
        return f"reply:{{{self.reply_id}}}:{part}"

    @property
    def channel(self) -> str:
        return f"reply:{self.reply_id}"


# Appends text and events at once if this attempt still owns the reply and the text is where the writer thinks it is.
# Returns 'lost' (another attempt owns it), 'gap' (the stream was lost: publish everything again), 'stop' or 'ok'.
_APPEND = """
local owner, mine = tonumber(redis.call('GET', KEYS[3]) or 0), tonumber(ARGV[1])
if owner > mine then return 'lost' end
if owner < mine then redis.call('SET', KEYS[3], mine) end
if redis.call('STRLEN', KEYS[2]) ~= tonumber(ARGV[2]) then return 'gap' end
if ARGV[3] ~= '' then redis.call('APPEND', KEYS[2], ARGV[3]) end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local news = {last and last[1] or '-'}
for i = 6, #ARGV, 2 do
  local id = redis.call('XADD', KEYS[1], '*', 'event', ARGV[i], 'data', ARGV[i + 1])
  for _, line in ipairs({id, ARGV[i], ARGV[i + 1]}) do news[#news + 1] = line end
end
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[5]) end
redis.call('PUBLISH', ARGV[4], table.concat(news, string.char(10)))
return redis.call('EXISTS', KEYS[4]) == 1 and 'stop' or 'ok'
"""

# Takes the reply over for an attempt; refuses an older attempt. Returns the text shown so far and whether to stop.
_TAKE = """
local owner = redis.call('GET', KEYS[3])
if owner and tonumber(owner) > tonumber(ARGV[1]) then return false end
redis.call('SET', KEYS[3], ARGV[1], 'EX', ARGV[2])
return {redis.call('GET', KEYS[2]) or '', redis.call('EXISTS', KEYS[4])}
"""


def news_after(position: str, messages: list[str]) -> list[Entry] | None:
    """The entries after `position` that the channel's messages carry; None when one is missing, so that the stream
    itself must be read."""
    entries: list[Entry] = []
    for message in messages:
        before, *lines = message.split("\n")
        if not lines:
            return None
        ids = lines[0::3]
        if _order(ids[-1]) <= _order(position):
            continue  # a read of the stream has brought them already
        if before != position:
            return None
        entries += [
            (entry_id, (name, json.loads(data)))
            for entry_id, name, data in zip(ids, lines[1::3], lines[2::3], strict=True)
        ]
        position = ids[-1]
    return entries


def _order(position: str) -> tuple[int, int]:
    if position == START:
        return (0, 0)
    milliseconds, _dash, number = position.partition("-")
    return int(milliseconds), int(number)


@lru_cache(maxsize=1)
def connection() -> redis.Redis:
    """A pooled connection for synchronous code."""
    return redis.Redis.from_url(settings.VALKEY_URL, decode_responses=True, socket_timeout=5, health_check_interval=30)


def request_stop(reply_id: uuid.UUID) -> None:
    keys = Keys(reply_id)
    connection().set(keys["stop"], 1, ex=KEEP_SECONDS)


def publish_end(reply_id: uuid.UUID, data: dict[str, Any]) -> None:
    """The last event of a reply. Called after its commit; repeating it is harmless."""
    keys = Keys(reply_id)
    pipeline = connection().pipeline()
    pipeline.xadd(keys["events"], {"event": "end", "data": json.dumps(data)})
    for part in ("events", "text", "attempt", "stop"):
        pipeline.expire(keys[part], KEEP_AFTER_END_SECONDS)
    pipeline.publish(keys.channel, "")
    pipeline.execute()


def forget(reply_ids: list[uuid.UUID]) -> None:
    """Remove whatever the streams still hold of these replies."""
    pipeline = connection().pipeline(transaction=False)
    for keys in map(Keys, reply_ids):
        pipeline.unlink(*(keys[part] for part in ("events", "text", "attempt", "stop")))
    pipeline.execute()


class LeaseLost(Exception):  # noqa: N818
    """Another worker has taken the reply over; whatever this one does no longer counts."""


class Publisher:
    """The writing end, for one attempt of one worker."""

    def __init__(self, client: redis.asyncio.Redis, *, reply_id: uuid.UUID, attempt: int) -> None:
        self._client = client
        self._keys = Keys(reply_id)
        self._attempt = attempt
        self._append = client.register_script(_APPEND)
        self._key_list = [self._keys[part] for part in ("events", "text", "attempt", "stop")]
        self._bytes = 0

    async def take(self, checkpoint: str) -> tuple[str, bool]:
        """Become the owner; returns the text shown so far (`checkpoint` when the stream knows less) and whether
        somebody asked to stop."""
        taken: Any = await self._client.eval(_TAKE, 4, *self._key_list, self._attempt, KEEP_SECONDS)
        if taken is None:
            raise LeaseLost
        text, is_stop_requested = str(taken[0]), bool(taken[1])
        self._bytes = len(text.encode())
        if len(checkpoint) > len(text):
            await self._rewrite(checkpoint)
            text = checkpoint
        return text, is_stop_requested

    async def append(self, text: str, *, shown: int, events: list[Event], everything: Any) -> bool:
        """Publish `text[shown:]` and its events; returns whether a stop was asked for.

        When the stream was lost, publishes the whole text and the events that `everything()` gives instead.
        Raises `LeaseLost`.
        """
        outcome = await self._run(text[shown:], events)
        if outcome == "gap":
            await self._rewrite("")
            outcome = await self._run(text, everything())
        if outcome == "lost":
            raise LeaseLost
        return outcome == "stop"

    async def replace(self, text: str) -> bool:
        """The text is another now, as after a loop was cut off; returns whether a stop was asked for."""
        await self._rewrite(text)
        return await self.is_stop_requested()

    async def is_stop_requested(self) -> bool:
        return bool(await self._client.exists(self._keys["stop"]))

    async def _run(self, delta: str, events: list[Event]) -> str:
        flat = [part for name, data in events for part in (name, json.dumps(data, ensure_ascii=False))]
        arguments: list[str | int] = [self._attempt, self._bytes, delta, self._keys.channel, KEEP_SECONDS, *flat]
        outcome = str(await self._append(keys=self._key_list, args=arguments))
        if outcome in ("ok", "stop"):
            self._bytes += len(delta.encode())
        return outcome

    async def _rewrite(self, text: str) -> None:
        await self._client.set(self._keys["text"], text, ex=KEEP_SECONDS)
        self._bytes = len(text.encode())


def async_connection(*, retries: int = 0) -> redis.asyncio.Redis:
    """A pool for one event loop. Whoever finds it exhausted waits: a thousand viewers may wake at once.

    With `retries`, a command whose connection is broken is sent again on a new one: for those who only read, whose
    connections a restart of Valkey has left behind.
    """
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        settings.VALKEY_URL,
        decode_responses=True,
        socket_timeout=10,
        health_check_interval=30,
        max_connections=CONNECTIONS,
        retry=Retry(NoBackoff(), retries),
        timeout=30,
    )
    return redis.asyncio.Redis.from_pool(pool)
