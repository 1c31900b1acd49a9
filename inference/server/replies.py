"""Replies on their way to a client: the deltas of a job's generations, gathered, timed, and dropped with the client."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from typing import Any, TypeVar

from starlette.types import Receive

from inference.engine import Engine
from inference.errors import RequestError, Unavailable
from inference.generation import Delta, Generation, Timings
from inference.loading import LoadedModel
from inference.server.orders import Job

logger = logging.getLogger(__name__)
T = TypeVar("T")
SILENCE_SECONDS = 60.0
MOST_PENDING = 4096
"""Deltas that may wait for a slow reader before its replies are cancelled."""


class ClientGone(RequestError):  # noqa: N818
    """The client closed the connection, or read too slowly for too long. Nobody reads the answer."""

    status = 499

    def __init__(self) -> None:
        super().__init__("The client closed the connection.", code="client_gone")


class Replies:
    """All replies to one request. Iterate over `deltas`; `cancel` when the client has gone."""

    def __init__(self, engine: Engine, model: LoadedModel, job: Job) -> None:
        self.engine = engine
        self.model = model
        self.job = job
        self.last: dict[int, Delta] = {}
        self._pending: deque[tuple[int, Delta]] = deque()
        self._news = asyncio.Event()
        self._generations: list[Generation] = []
        try:
            for index, order in enumerate(job.orders):
                self._generations.append(engine.submit(order, partial(self._hear, index)))
        except RequestError:
            self.cancel()
            raise

    def _hear(self, index: int, delta: Delta) -> None:
        if delta.finish_reason:
            self.last[index] = delta
        self._pending.append((index, delta))
        if len(self._pending) > MOST_PENDING:
            self.cancel()
        self._news.set()

    @property
    def is_finished(self) -> bool:
        return len(self.last) == len(self.job.orders)

    def cancel(self) -> None:
        """Free the slots within one step; harmless when the replies are finished."""
        for generation in self._generations:
            Engine.cancel(generation)

    async def deltas(self, *, silence: float) -> AsyncIterator[tuple[int, Delta] | None]:
        """(choice, delta) as they come, and None whenever nothing came for `silence` seconds."""
        while self._pending or not self.is_finished:
            if not self._pending:
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), silence)
                except TimeoutError:
                    yield None
                    continue
            while self._pending:
                yield self._pending.popleft()

    async def collect(self) -> dict[int, list[Delta]]:
        """All deltas of each choice, when all are finished. Raises RequestError when one failed."""
        said: dict[int, list[Delta]] = {}
        async for item in self.deltas(silence=SILENCE_SECONDS):
            if item is None or item[1].queue_position is not None:
                continue
            index, delta = item
            if failed := failure(delta):
                self.cancel()
                raise failed
            said.setdefault(index, []).append(delta)
        return said

    async def begun(self) -> None:
        """Return when the first token is there; it stays to be read. Raises RequestError when it never will be."""
        while True:
            while self._pending and self._pending[0][1].queue_position is not None:
                self._pending.popleft()
            if self._pending:
                if failed := failure(self._pending[0][1]):
                    self.cancel()
                    raise failed
                return
            self._news.clear()
            await self._news.wait()

    def usage(self) -> dict[str, Any]:
        """Token counts in OpenAI's shape."""
        completion = sum(delta.produced for delta in self.last.values())
        cached = sum(delta.cached_tokens for delta in self.last.values())
        prompt = self.job.prompt_tokens
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": min(cached, prompt)},
        }

    def receipt(self) -> dict[str, Any]:
        """What made this reply: enough to make it again, and where the time went."""
        timings = self.last[0].timings if 0 in self.last else None
        return {
            "model_version": self.model.version,
            "seed": self.job.seed,
            "template_sha256": self.model.template_sha256,
            "timings": _rounded(timings) if timings else {},
        }

    def log(self, request_id: str) -> None:
        """One line about how it went, without a word of what was said."""
        first = self.last.get(0)
        logger.info(
            "completion",
            extra={
                "request_id": request_id,
                "model": self.engine.name,
                "finish": [delta.error or delta.finish_reason for _, delta in sorted(self.last.items())],
                **{key: value for key, value in self.usage().items() if key != "prompt_tokens_details"},
                "cached_tokens": first.cached_tokens if first else 0,
                **(_rounded(first.timings) if first and first.timings else {}),
            },
        )


def failure(delta: Delta) -> RequestError | None:
    """The error that a final delta stands for, if it does."""
    match delta.error:
        case None:
            return None
        case "deadline_exceeded":
            return Unavailable("The deadline passed while the request waited.", code="deadline_exceeded")
        case "unusable_logits":
            return RequestError("No token can follow under these parameters.", code="unusable_logits")
        case _:
            return Unavailable("The model failed while replying; try again.", code=delta.error)


async def unless_disconnected(receive: Receive, replies: Replies, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; when the client leaves first, its replies are cancelled and ClientGone is raised."""
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(disconnected(receive))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        watcher.cancel()
        if not task.done():
            replies.cancel()
            task.cancel()


async def disconnected(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _rounded(timings: Timings) -> dict[str, float]:
    return {key: round(value, 2) for key, value in vars(timings).items()}
