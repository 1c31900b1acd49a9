"""The model service as the web sees it: an OpenAI-compatible HTTP API at `INFERENCE_URL`, and nothing else of it."""

from __future__ import annotations

import asyncio
import atexit
import json
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from itertools import takewhile
from typing import Any

import aiohttp
import httpx
from django.conf import settings

from chat.certainty import Token, tokens_of
from chat.characters import storable

CONNECT_SECONDS = 2.0
# The service sends a comment at least this often while a request waits in its queue.
SILENCE_SECONDS = 60.0
# Shorter than servers keep an idle connection: one that is about to be closed there is not used again here.
KEPT_SECONDS = 4.0
LONGEST_LINE_BYTES = 1 << 20
DONE = b"data: [DONE]"
# What reading an answer raises when the service is killed, falls silent or cannot be reached.
BROKEN_OFF = (aiohttp.ClientError, TimeoutError, OSError)
_clients: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}


class ModelUnavailable(Exception):  # noqa: N818
    """The service cannot be reached, is starting, is full or broke off: worth trying again."""

    def __init__(self, reason: str, *, retry_after: float = 0.5) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class ModelRefused(Exception):  # noqa: N818
    """The service understood the request and will never do it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class PromptTooLong(ModelRefused):
    """Not even the last message fits into the model's window."""

    def __init__(self) -> None:
        super().__init__("context_length_exceeded", "the last message alone fills the model's window")


@dataclass(frozen=True)
class Chunk:
    """One event of a streamed completion."""

    text: str = ""
    finish_reason: str | None = None
    queue_position: int | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    receipt: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    tokens: tuple[Token, ...] = ()


def address(path: str) -> str:
    """The URL of a path of the model service."""
    base: str = settings.INFERENCE_URL
    return base.rstrip("/") + path


def _headers() -> dict[str, str]:
    key = settings.INFERENCE_API_KEY
    return {"Authorization": f"Bearer {key}"} if key else {}


@lru_cache(maxsize=1)
def _client() -> httpx.Client:
    return httpx.Client(timeout=httpx.Timeout(5.0, connect=CONNECT_SECONDS))


def count_tokens(messages: list[dict[str, str]], *, model: str | None = None) -> int:
    """Tokens of the templated prompt, counted by the model's own tokenizer. Raises `ModelUnavailable`."""
    return _count({"model": model or settings.CHAT_MODEL, "messages": messages})


def count_text(text: str, *, model: str) -> int:
    """Tokens of a bare text. Raises `ModelUnavailable`."""
    return _count({"model": model, "prompt": text})


def _count(body: dict[str, Any]) -> int:
    try:
        response = _client().post(address("/tokenize"), json=body, headers=_headers())
        response.raise_for_status()
        return int(response.json()["count"])
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise ModelUnavailable("the model service did not count tokens") from error


def complete(body: dict[str, Any], *, seconds: float = 60.0) -> str:
    """The text of a whole completion. Raises `ModelUnavailable`, and `ModelRefused` on a 4xx."""
    try:
        response = _client().post(address("/v1/chat/completions"), json=body, headers=_headers(), timeout=seconds)
    except httpx.HTTPError as error:
        raise ModelUnavailable(f"{type(error).__name__} while completing") from error
    if response.status_code != httpx.codes.OK:
        raise _error(response.status_code, response.headers, response.content)
    try:
        return storable(str(response.json()["choices"][0]["message"]["content"] or ""))
    except (ValueError, LookupError, TypeError) as error:
        raise ModelUnavailable("the model service answered in another shape") from error


def model_names() -> list[str]:
    """The models that the service offers. Raises `ModelUnavailable`."""
    try:
        response = _client().get(address("/v1/models"), headers=_headers())
        response.raise_for_status()
        return [str(model["id"]) for model in response.json()["data"]]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise ModelUnavailable("the model service did not name its models") from error


def streaming_client() -> aiohttp.ClientSession:
    """The client of the running event loop; connections are kept, so that a reply does not wait for a handshake."""
    loop = asyncio.get_running_loop()
    for stale in [known for known in _clients if known.is_closed()]:
        del _clients[stale]
    if loop not in _clients:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS)
        _clients[loop] = aiohttp.ClientSession(connector=connector, read_bufsize=LONGEST_LINE_BYTES)
        atexit.register(_close, _clients[loop], loop)
    return _clients[loop]


def _close(client: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop) -> None:
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(client.close(), loop).result(CONNECT_SECONDS)


async def post(
    path: str,
    body: dict[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    silence_seconds: float = SILENCE_SECONDS,
) -> aiohttp.ClientResponse:
    """The answer, whatever its status, its body unread: releasing it before its end frees the slot.

    Raises `ModelUnavailable` when the service is away; reading may raise `BROKEN_OFF`.
    """
    timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=silence_seconds)
    try:
        client = streaming_client()
        return await client.post(address(path), json=body, headers={**_headers(), **(headers or {})}, timeout=timeout)
    except BROKEN_OFF as error:
        raise ModelUnavailable(f"{type(error).__name__} while asking") from error


async def ask(body: dict[str, Any], *, request_id: str) -> aiohttp.ClientResponse:
    """The answer of `POST /v1/chat/completions`, for `stream` to read. Raises `ModelUnavailable`."""
    return await post("/v1/chat/completions", _streamed(body), headers={"X-Request-ID": request_id})


async def ask_ahead(body: dict[str, Any], *, request_id: str) -> bool:
    """Have the service begin what `ask` will ask for in a moment, under the same id. False when it does not do that.

    Raises `ModelUnavailable`.
    """
    headers = {"X-Request-ID": request_id, "Prefer": "respond-async"}
    answer = await post("/v1/chat/completions", _streamed(body), headers=headers)
    answer.release()  # a service that has not heard of this streams the reply, and stops when nobody reads it
    return answer.status != HTTPStatus.OK


def _streamed(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "stream": True, "stream_options": {"include_usage": True}}


async def stream(answer: Awaitable[aiohttp.ClientResponse]) -> AsyncIterator[Iterator[Chunk]]:
    """The chunks of what was asked, as many at a time as came together; leaving the iterator closes the connection,
    which frees the slot.

    Raises `ModelUnavailable` when the service is away or breaks off before `[DONE]`, `ModelRefused` on a 4xx.
    """
    response = await answer
    is_done = False
    try:
        if response.status != HTTPStatus.OK:
            raise _error(response.status, response.headers, await response.read())
        # To the end of the body, not just of the stream: else the connection could not be used again.
        async for lines in _whole_lines(response.content):
            if not is_done:
                before_done = list(takewhile(lambda line: line.rstrip() != DONE, lines))
                is_done = len(before_done) < len(lines)
                yield filter(None, (_chunk(line.decode()) for line in before_done))
    except BROKEN_OFF as error:
        raise ModelUnavailable(f"{type(error).__name__} while streaming") from error
    finally:
        response.release()
    if not is_done:
        raise ModelUnavailable("the stream broke off")


async def _whole_lines(body: aiohttp.StreamReader) -> AsyncIterator[list[bytes]]:
    """The lines that each read ends. After the last of them only the end of the stream may stand."""
    rest = b""
    async for received in body.iter_any():
        *lines, rest = (rest + received).split(b"\n")
        if len(rest) > LONGEST_LINE_BYTES:
            raise ModelUnavailable("a line without an end")
        yield lines
    if rest == DONE:
        yield [rest]


def _chunk(line: str) -> Chunk | None:
    if line.startswith(": queue "):
        return Chunk(queue_position=int(line.removeprefix(": queue ")))
    if not line.startswith("data: "):
        return None
    data = json.loads(line.removeprefix("data: "))
    if "error" in data:
        raise ModelUnavailable(str(data["error"].get("code") or "error in the stream"))
    choice = data["choices"][0] if data.get("choices") else {}
    return Chunk(
        text=storable(choice.get("delta", {}).get("content") or ""),
        finish_reason=choice.get("finish_reason"),
        usage=data.get("usage") or {},
        receipt=data.get("parley") or {},
        model=data.get("model", ""),
        tokens=tokens_of(choice.get("logprobs")),
    )


def _error(status: int, headers: Mapping[str, str], content: bytes) -> Exception:
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        try:
            retry_after = float(headers.get("Retry-After", "0.5"))
        except ValueError:
            retry_after = 0.5
        return ModelUnavailable(f"HTTP {status}", retry_after=retry_after)
    try:
        error = json.loads(content)["error"]
        code, text = str(error.get("code") or error.get("type")), str(error.get("message"))
    except (ValueError, KeyError, TypeError):
        code, text = "refused", f"HTTP {status}"
    return PromptTooLong() if code == "context_length_exceeded" else ModelRefused(code, text)
