"""Carry a completion from the model service to the caller, and settle it whichever way it ends.

Lines of a stream go on as they come; only the last is read. Whoever leaves early is charged for what they were sent,
counted by the model's own tokenizer.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import aiohttp
from asgiref.sync import sync_to_async
from django.utils import timezone

from chat import inference
from chat.openai import settlement
from chat.openai.admission import Admission
from chat.openai.asking import Wish
from chat.openai.counting import counted
from chat.openai.errors import from_model_service, unavailable
from chat.openai.settlement import Delivered
from chat.pooling import give_back

logger = logging.getLogger(__name__)

DONE = inference.DONE.decode()
WHOLE_ANSWER_SECONDS = 600.0
_endings: set[asyncio.Task[None]] = set()


class Relay:
    """One admitted request on its way through the model service."""

    def __init__(self, admission: Admission, wish: Wish) -> None:
        self._admission = admission
        self._wish = wish
        self._completion = admission.completion
        self._lines: list[str] = []
        self._usage: dict[str, int] | None = None

    async def whole(self) -> str:
        """The answer, as it is kept for a repeated request. Raises `ApiError`; who leaves is charged nothing."""
        delivered = None
        try:
            text = await self._whole_text()
            usage = json.loads(text)["usage"]
            delivered = Delivered(usage["prompt_tokens"], usage["completion_tokens"], answer=text)
            return text
        finally:
            await self._end_whatever_happens(delivered)

    async def _whole_text(self) -> str:
        response = await self._open(stream=False)
        try:
            return await response.text()
        except inference.BROKEN_OFF as error:
            raise unavailable() from error
        finally:
            response.release()

    async def stream(self) -> AsyncIterator[bytes]:
        """The answer as server-sent events, once the model service has accepted the request. Raises `ApiError`."""
        try:
            response = await self._open(stream=True)
        except BaseException:
            await self._end_whatever_happens(None)
            raise
        return self._events(response)

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        is_settled = False
        try:
            async for raw in response.content:
                line = raw.decode().rstrip("\r\n")
                if line == DONE:
                    await self._end(await self._delivered(is_whole=self._usage is not None))
                    is_settled = True
                elif not self._goes_on(line):
                    continue
                yield f"{line}\n".encode()
        except inference.BROKEN_OFF:
            logger.warning("The model service broke off request %s", self._completion.request_id)
            yield f"data: {json.dumps(unavailable().body)}\n\n{DONE}\n\n".encode()
        finally:
            if not is_settled:
                _in_background(self._end_early())
            response.release()

    async def _open(self, *, stream: bool) -> aiohttp.ClientResponse:
        """The model service's answer to the request, status 200, its body unread. Raises `ApiError` for any other."""
        try:
            response = await inference.post(
                f"/v1/{self._wish.endpoint}",
                self._body(stream),
                headers={"X-Request-ID": self._completion.request_id},
                silence_seconds=inference.SILENCE_SECONDS if stream else WHOLE_ANSWER_SECONDS,
            )
        except inference.ModelUnavailable as error:
            raise unavailable() from error
        if response.status == HTTPStatus.OK:
            return response
        try:
            content = await response.read()
        except inference.BROKEN_OFF as error:
            raise unavailable() from error
        finally:
            response.release()
        raise from_model_service(response.status, content, response.headers.get("Retry-After", "1"))

    def _body(self, stream: bool) -> dict[str, Any]:
        return {
            **self._wish.forwarded,
            "model": self._wish.model,
            "max_tokens": self._admission.max_tokens_each,
            "priority": self._admission.priority,
            "user": str(self._completion.user_id),
            "stream": stream,
            **({"stream_options": {"include_usage": True}} if stream else {}),
        }

    def _goes_on(self, line: str) -> bool:
        """Whether the caller gets this line; takes the usage out of the chunk that only we asked for."""
        if not line.startswith("data: "):
            return True
        if '"choices":[]' in line:
            self._usage = json.loads(line.removeprefix("data: ")).get("usage")
            if not self._wish.wants_usage:
                return False
        self._lines.append(line)
        return True

    async def _delivered(self, *, is_whole: bool) -> Delivered | None:
        if self._usage is not None:
            answer = self._as_sent() if self._completion.idempotency_key else ""
            return Delivered(self._usage["prompt_tokens"], self._usage["completion_tokens"], is_whole, answer)
        text = "".join(map(_text_of, self._lines))
        return await asyncio.to_thread(self._counted, text) if text else None

    def _counted(self, text: str) -> Delivered:
        return Delivered(*counted(self._wish, text), is_whole=False)

    def _as_sent(self) -> str:
        return "".join(f"{line}\n\n" for line in [*self._lines, DONE])

    async def _end(self, delivered: Delivered | None) -> None:
        await sync_to_async(self._write_end, thread_sensitive=False)(delivered)

    def _write_end(self, delivered: Delivered | None) -> None:
        try:
            if delivered:
                settlement.settle(self._completion.pk, delivered, now=timezone.now())
            else:
                settlement.release(self._completion.pk, now=timezone.now())
        finally:
            give_back()

    async def _end_early(self) -> None:
        await self._end(await self._delivered(is_whole=False))

    async def _end_whatever_happens(self, delivered: Delivered | None) -> None:
        """Even when the caller left and this very task is being cancelled."""
        await asyncio.shield(_in_background(self._end(delivered)))


async def replay(answer: str) -> AsyncIterator[bytes]:
    """A stream that was sent before, as it was sent."""
    yield answer.encode()


def _in_background(ending: Any) -> asyncio.Task[None]:
    task: asyncio.Task[None] = asyncio.ensure_future(ending)
    _endings.add(task)
    task.add_done_callback(_endings.discard)
    return task


def _text_of(line: str) -> str:
    """The text that one chunk brought, of all its choices."""
    choices = json.loads(line.removeprefix("data: ")).get("choices", [])
    return "".join(choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in choices)
