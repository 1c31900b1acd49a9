"""A reply as server-sent events, each flushed the moment it exists; a client that leaves or stops reading is let go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from inference.errors import RequestError
from inference.generation import Delta
from inference.server.replies import ClientGone, Replies, disconnected, failure
from inference.server.shapes import Shape, event

logger = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 10.0
DONE = b"data: [DONE]\n\n"


class EventStream(Response):
    """Sends the replies as they grow. The status is 200 from the start; later failures are events."""

    media_type = "text/event-stream"

    def __init__(self, shape: Shape, *, include_usage: bool, reader_seconds: float, request_id: str) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no", "X-Request-ID": request_id})
        del self.headers["content-length"]
        self._shape = shape
        self._include_usage = include_usage
        self._reader_seconds = reader_seconds
        self._request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replies = self._shape.replies
        watcher = asyncio.ensure_future(_wait_for_disconnect(receive, replies))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for data in self._events(replies):
                await self._send(send, data)
            await self._send(send, b"", more=False)
        except ClientGone:
            logger.warning("slow reader cut off", extra={"request_id": self._request_id})
        finally:
            watcher.cancel()
            replies.cancel()
            replies.log(self._request_id)

    async def _send(self, send: Send, data: bytes, *, more: bool = True) -> None:
        message = {"type": "http.response.body", "body": data, "more_body": more}
        try:
            await asyncio.wait_for(send(message), self._reader_seconds)
        except TimeoutError as error:
            raise ClientGone from error

    async def _events(self, replies: Replies) -> AsyncIterator[bytes]:
        opened: set[int] = set()
        position: int | None = None
        async for item in replies.deltas(silence=HEARTBEAT_SECONDS):
            if item is None:
                yield b": alive\n\n" if position is None else f": queue {position}\n\n".encode()
                continue
            index, delta = item
            if delta.queue_position is not None:
                position = delta.queue_position
                yield f": queue {position}\n\n".encode()
                continue
            position = None
            if failed := failure(delta):
                yield event(error_body(failed))
                yield DONE
                return
            yield self._advance(index, delta, opened)
        if self._include_usage:
            yield event(self._shape.closing())
        yield DONE

    def _advance(self, index: int, delta: Delta, opened: set[int]) -> bytes:
        """The events of one delta, in one write."""
        data = b""
        if index not in opened:
            opened.add(index)
            opening = self._shape.opening(index)
            # Whoever stops a reply early still learns which model version and seed made it.
            data = event({**opening, "parley": self._shape.replies.receipt()}) if opening else b""
        if not (delta.text or delta.finish_reason or delta.logprob):
            return data  # half a character: its other half will bring the text
        piece = self._shape.piece(index, delta)
        if delta.finish_reason and not self._include_usage and self._shape.replies.is_finished:
            piece["parley"] = self._shape.replies.receipt()
        return data + event(piece)


async def _wait_for_disconnect(receive: Receive, replies: Replies) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await disconnected(receive)
        replies.cancel()


def error_body(error: RequestError) -> dict[str, dict[str, str | None]]:
    """An error in OpenAI's shape."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
