"""The streaming part of a reply: tokens in from the model, rendered blocks out to the event stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import redis
import redis.asyncio
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from chat import certainty, clarifying, inference, repetition, streams
from chat.drafts import Draft, Outcome
from chat.inference import Chunk
from chat.models import Reply
from chat.rendering import BlockRenderer
from chat.streams import Publisher

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.04
# Of this many parts of a process's time rendering takes about one, however many replies are being written.
PARTS = 4
STOP_CHECK_SECONDS = 0.1
# How long a reply waits for a model service that is restarting before it gives up.
PATIENCE_SECONDS = 120.0
LONGEST_PAUSE_SECONDS = 2.0
# How the rest of a reply that ran into a loop is sampled, once.
OUT_OF_A_LOOP = {"repetition_penalty": 1.15, "frequency_penalty": 0.2, "temperature": 0.8}


class _Looping(Exception):  # noqa: N818
    """The model goes round in circles; the text makes sense up to `end`."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self.end = end


class _Stopped(Exception):  # noqa: N818
    """The person asked to stop."""


_valkey: dict[int, redis.asyncio.Redis] = {}
_shown: set[Writer] = set()
"""The replies that share this process's time for rendering: those that have begun and not ended."""


def _connected() -> redis.asyncio.Redis:
    """Per event loop: connections are reused by all replies of a worker process."""
    loop = id(asyncio.get_running_loop())
    if loop not in _valkey:
        _valkey[loop] = streams.async_connection()
    return _valkey[loop]


class Writer:
    """Writes one reply for one attempt.

    Called in threads: `complete(draft)` where the model was away when the draft was made, `heartbeat(draft, text)`
    every third of a lease and when a loop was cut off, `keep(draft, asked)` before a question is shown.
    """

    def __init__(
        self,
        draft: Draft,
        *,
        complete: Callable[[Draft], None],
        heartbeat: Callable[[Draft, str], None],
        keep: Callable[[Draft, clarifying.Asked], None],
    ) -> None:
        self._draft = draft
        self._complete = complete
        self._heartbeat = heartbeat
        self._keep = keep
        self._text = ""
        self._published_characters = 0
        self._renderer = BlockRenderer()
        self._blocks: dict[int, str] = {}
        self._next_flush = 0.0
        self._resumed_tokens = 0
        self._original_prompt_tokens: int | None = None
        self._first_token_at: datetime | None = None
        self._finish_reason = ""
        self._usage: dict[str, Any] = {}
        self._receipt: dict[str, Any] = {}
        self._is_lost = False
        self._was_resumed = False
        self._certainty = certainty.Recorder()
        self._ambiguity: float | None = None

    async def write(self) -> Outcome:
        """Stream until the reply ends. Raises `streams.LeaseLost` when another worker has it."""
        self._publisher = Publisher(_connected(), reply_id=self._draft.reply_id, attempt=self._draft.attempt)
        self._text, is_stop_requested = await self._publisher.take(self._draft.checkpoint)
        self._draft.is_stop_requested |= is_stop_requested
        self._published_characters = len(self._text)
        self._was_resumed = bool(self._text) and self._draft.attempt > 1
        beat = asyncio.create_task(self._beat())
        try:
            state, error = await self._generate()
        finally:
            _shown.discard(self)
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat
        return await self._outcome(state, error)

    async def _generate(self) -> tuple[Reply.State, str]:
        try:
            # A question that was stored is shown, whatever else came: the page would offer its answers anyway.
            if self._draft.asked and await self._asks_first():
                return Reply.State.COMPLETE, ""
            if self._draft.failure:
                return Reply.State.FAILED, self._draft.failure
            if self._draft.is_stop_requested:
                raise _Stopped
            await self._patiently(self._look_up)
            if await self._asks_first():
                return Reply.State.COMPLETE, ""
            await self._resume()
            await self._patiently(self._stream_once)
            await self._flush()
        except _Stopped:
            return Reply.State.STOPPED, ""
        except inference.ModelRefused as refusal:
            return Reply.State.FAILED, refusal.code
        except inference.ModelUnavailable:
            return Reply.State.FAILED, "model_unavailable"
        return (Reply.State.COMPLETE, "") if self._text else (Reply.State.FAILED, "empty_reply")

    async def _look_up(self) -> None:
        if not self._draft.is_complete:
            await asyncio.to_thread(self._complete, self._draft)

    async def _resume(self) -> None:
        """Show again what an earlier attempt showed; a browser that has it already sees no change."""
        if self._text:
            await self._flush()

    async def _asks_first(self) -> bool:
        """Whether the reply is a question, which is shown then: all of it at once, so that nothing is left to stop."""
        draft = self._draft
        if draft.asked is None and draft.request and not self._text:
            await self._publish_state("deciding", None)
            await self._patiently(self._consider)
        if draft.asked is None:
            return False
        self._text, self._finish_reason = draft.asked.text, clarifying.FINISH_REASON
        self._ambiguity, self._receipt = draft.asked.probability, draft.asked.receipt
        self._first_token_at = timezone.now()
        with contextlib.suppress(_Stopped):
            await self._flush()
        return True

    async def _consider(self) -> None:
        draft = self._draft
        if draft.request is None:
            return
        considered = await clarifying.consider(draft.request, made_with=draft.made_with, chunks=self._unseen_chunks)
        await self._check_stop()
        self._ambiguity = considered.probability
        if considered.asked:
            try:
                await asyncio.to_thread(self._keep, draft, considered.asked)
            except DatabaseError:
                logger.warning("The database is away; reply %s answers without asking", draft.reply_id)
            else:
                draft.asked = considered.asked

    async def _unseen_chunks(self, body: dict[str, Any]) -> AsyncIterator[Chunk]:
        """The model's chunks where nothing is published, which would notice a stop, as they come."""
        next_check = time.monotonic() + STOP_CHECK_SECONDS
        async with contextlib.aclosing(self._chunks(body)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk
                if time.monotonic() >= next_check:
                    await self._check_stop()
                    next_check = time.monotonic() + STOP_CHECK_SECONDS

    async def _patiently(self, stream: Callable[[], Awaitable[None]]) -> None:
        """Stream, going on from the text so far whenever the model service breaks off or is away."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        pause = 0.0
        while True:
            length = len(self._text)
            try:
                return await stream()
            except _Looping as loop:
                await self._cut(loop.end)
                if self._draft.left_a_loop:
                    self._finish_reason = "repetition"
                    return None
                self._draft.left_a_loop = True
                await self._save()  # whoever goes on after a crash does not try it once more
            except inference.ModelUnavailable as error:
                if len(self._text) > length:
                    give_up_at, pause = time.monotonic() + PATIENCE_SECONDS, 0.0
                if time.monotonic() > give_up_at:
                    raise
                pause = min(max(error.retry_after, pause * 2), LONGEST_PAUSE_SECONDS)
                logger.info("Reply %s waits %.1f s for the model: %s", self._draft.reply_id, pause, error)
                await self._publish_state("away", None)
                await self._sleep(pause)

    async def _stream_once(self) -> None:
        body = await self._request_body()
        if body["max_tokens"] <= 0:
            self._finish_reason = "length"
            return
        self._certainty.begin(len(self._text))
        async for chunk in self._chunks(body):
            if chunk.queue_position is not None:
                await self._publish_state("queued", chunk.queue_position)
            self._receipt = chunk.receipt or self._receipt
            self._usage = chunk.usage or self._usage
            self._finish_reason = chunk.finish_reason or self._finish_reason
            self._certainty.add(chunk.tokens)
            if chunk.text:
                self._first_token_at = self._first_token_at or timezone.now()
                self._text += chunk.text
                if time.monotonic() >= self._next_flush:
                    if (end := repetition.loop_start(self._text)) is not None:
                        raise _Looping(end)
                    await self._flush()

    async def _request_body(self) -> dict[str, Any]:
        if self._text:
            await self._count_resumed([*self._draft.prompt, {"role": "assistant", "content": self._text}])
        body = self._draft.body(text=self._text, text_tokens=self._resumed_tokens)
        return body | (OUT_OF_A_LOOP if self._draft.left_a_loop else {})

    async def _count_resumed(self, messages: list[dict[str, str]]) -> None:
        count = inference.count_tokens
        if self._original_prompt_tokens is None:
            self._original_prompt_tokens = await asyncio.to_thread(count, self._draft.prompt, model=self._draft.model)
        with_text = await asyncio.to_thread(count, messages, model=self._draft.model)
        self._resumed_tokens = with_text - self._original_prompt_tokens

    async def _chunks(self, body: dict[str, Any]) -> AsyncIterator[Chunk]:
        """The model's chunks; in between, shows what is due, and notices a stop and a lost lease."""
        stream = inference.stream(inference.ask(body, request_id=str(self._draft.reply_id)))
        pending: asyncio.Future[Iterator[Chunk]] | None = None
        try:
            while True:
                pending = pending or asyncio.ensure_future(anext(stream))
                done, _waiting = await asyncio.wait({pending}, timeout=STOP_CHECK_SECONDS)
                if not done:
                    await self._idle()
                    continue
                finished, pending = pending, None
                try:
                    together = finished.result()
                except StopAsyncIteration:
                    return
                for chunk in together:
                    yield chunk
        finally:
            if pending is not None:
                pending.cancel()
                await asyncio.gather(pending, return_exceptions=True)
            await stream.aclose()  # type: ignore[attr-defined]

    async def _idle(self) -> None:
        if self._published_characters < len(self._text) and time.monotonic() >= self._next_flush:
            await self._flush()
        else:
            await self._check_stop()

    async def _sleep(self, seconds: float) -> None:
        wake_at = time.monotonic() + seconds
        while time.monotonic() < wake_at:
            await asyncio.sleep(min(STOP_CHECK_SECONDS, seconds))
            await self._check_stop()

    async def _check_stop(self) -> None:
        if self._is_lost:
            raise streams.LeaseLost
        if self._draft.is_stop_requested or await self._with_valkey(self._publisher.is_stop_requested):
            raise _Stopped

    async def _publish_state(self, state: str, queue_position: int | None) -> None:
        await self._publish([("state", {"state": state, "queue_position": queue_position})])

    async def _flush(self) -> None:
        """Render what is new and publish it; costly blocks and many replies less often, so that all that is rendered
        in this process takes a part of its time, and no reply falls ever further behind."""
        _shown.add(self)
        began = time.monotonic()
        changed = self._renderer.render(self._text)
        self._blocks.update(changed)
        cost = time.monotonic() - began
        self._next_flush = time.monotonic() + max(FLUSH_SECONDS, PARTS * cost * len(_shown))
        await self._publish([("block", {"index": index, "html": html}) for index, html in changed])

    async def _cut(self, end: int) -> None:
        """Take back what was shown after `end`: the blocks that go come back empty."""
        self._text = self._text[:end]
        self._renderer = BlockRenderer()
        shown, self._blocks = self._blocks, dict(self._renderer.render(self._text))
        await self._with_valkey(lambda: self._publisher.replace(self._text))
        self._published_characters = len(self._text)
        gone: list[streams.Event] = [("block", {"index": index, "html": ""}) for index in shown.keys() - self._blocks]
        await self._publish([*self._every_block(), *gone])

    async def _publish(self, events: list[streams.Event]) -> None:
        if self._is_lost:
            raise streams.LeaseLost
        text = self._text
        is_stop_requested = await self._with_valkey(
            lambda: self._publisher.append(
                text, shown=self._published_characters, events=events, everything=self._every_block
            )
        )
        self._published_characters = len(text)
        if is_stop_requested or self._draft.is_stop_requested:
            raise _Stopped

    def _every_block(self) -> list[streams.Event]:
        return [("block", {"index": index, "html": html}) for index, html in sorted(self._blocks.items())]

    async def _with_valkey(self, operation: Callable[[], Awaitable[bool]]) -> bool:
        """Try until Valkey is back; the text is safe in memory and in the checkpoint meanwhile."""
        while True:
            try:
                return await operation()
            except (redis.ConnectionError, redis.TimeoutError, OSError):
                logger.warning("Valkey is away; reply %s waits", self._draft.reply_id)
                await asyncio.sleep(0.5)
                if self._is_lost:
                    raise streams.LeaseLost from None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(settings.REPLY_LEASE_SECONDS / 3)
            await self._save()
            if self._is_lost:
                return

    async def _save(self) -> None:
        try:
            await asyncio.to_thread(self._heartbeat, self._draft, self._text)
        except streams.LeaseLost:
            self._is_lost = True
        except DatabaseError:
            logger.warning("The database is away; reply %s keeps its lease while it lasts", self._draft.reply_id)

    async def _outcome(self, state: Reply.State, error: str) -> Outcome:
        now = timezone.now()
        prompt_tokens, completion_tokens = await self._token_counts()
        queued_at, first_token_at = self._draft.queued_at, self._first_token_at
        timings = {
            "queue_ms": _milliseconds(self._draft.started_at - queued_at),
            # Of a reply that a second worker went on with, nobody knows when its first token came.
            "ttft_ms": _milliseconds(first_token_at - queued_at) if first_token_at and not self._was_resumed else None,
            "total_ms": _milliseconds(now - queued_at),
            "model": self._receipt.get("timings", {}),
            "repetition": repetition.rate(self._text),
            "left_a_loop": self._draft.left_a_loop,
            "ambiguity": None if self._ambiguity is None else round(self._ambiguity, 3),
        }
        return Outcome(
            state=state,
            text=self._text,
            error=error,
            finish_reason=self._finish_reason if state == Reply.State.COMPLETE else state.value,
            model_version=self._receipt.get("model_version", ""),
            template_sha256=self._receipt.get("template_sha256", ""),
            prompt_tokens=prompt_tokens,
            cached_tokens=(self._usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
            completion_tokens=completion_tokens,
            timings=timings,
            unsure=self._certainty.spans(self._text),
        )

    async def _token_counts(self) -> tuple[int | None, int | None]:
        """(prompt, completion) as the model counted them; counted anew when a stop cut the usage off."""
        if self._usage:
            prompt_tokens = self._original_prompt_tokens or self._usage["prompt_tokens"]
            return prompt_tokens, self._resumed_tokens + self._usage["completion_tokens"]
        if not self._text:
            return None, None
        messages = [*self._draft.prompt, {"role": "assistant", "content": self._text}]
        try:
            await self._count_resumed(messages)
        except inference.ModelUnavailable:
            return None, None
        return self._original_prompt_tokens, self._resumed_tokens


def _milliseconds(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))
