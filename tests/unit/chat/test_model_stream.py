"""A streamed answer of a model service, however the network cuts it up: read from a real server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from django.test import override_settings

from chat import inference
from chat.inference import LONGEST_LINE_BYTES, ModelUnavailable

WORDS = ["Grüße", " an ", "你好", "!"]
EVENTS = "".join(f'data: {{"choices": [{{"delta": {{"content": "{word}"}}}}]}}\n\n' for word in WORDS).encode()
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error": {"code": "engine_down"}}\n\n'


async def read(parts: Sequence[bytes], told: list[str]) -> None:
    """Append to `told` the text of all chunks of an answer that is sent part by part."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part)
            await asyncio.sleep(0)
        return response

    application = web.Application()
    application.router.add_post("/v1/chat/completions", answer)
    async with TestServer(application) as server, inference.streaming_client():
        with override_settings(INFERENCE_URL=str(server.make_url("/"))):
            async for together in inference.stream(inference.ask({}, request_id="one")):
                told.extend(chunk.text for chunk in together)


async def test_what_no_database_stores_is_left_out() -> None:
    told: list[str] = []
    await read([b'data: {"choices": [{"delta": {"content": "a\\u0000b\\ud83dc\\r"}}]}\n\n', DONE], told)
    assert told == ["abc\r"]


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
async def test_the_words_come_whole_and_in_order_wherever_they_are_cut(size: int) -> None:
    told: list[str] = []
    whole = EVENTS + DONE
    await read([whole[at : at + size] for at in range(0, len(whole), size)], told)
    assert told == WORDS


@pytest.mark.parametrize(
    "end", [b"data: [DONE]", DONE, DONE.replace(b"\n", b"\r\n"), DONE + b": bye\n\n", DONE + ERROR]
)
async def test_a_stream_ends_where_it_says_so(end: bytes) -> None:
    told: list[str] = []
    await read([EVENTS, end], told)
    assert told == WORDS


@pytest.mark.parametrize(
    "end", [b"", ERROR, b'data: {"choices": [', b"data: " + b"x" * (LONGEST_LINE_BYTES + 1)], ids=len
)
async def test_what_came_before_it_broke_off_is_kept(end: bytes) -> None:
    told: list[str] = []
    with pytest.raises(ModelUnavailable):
        await read([EVENTS + end], told)
    assert told == WORDS
