"""What is turned away at the door: bodies that are too large, and callers without the key."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from contextlib import suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.errors import RequestError
from inference.settings import Settings


class Forbidden(RequestError):  # noqa: N818
    """The caller may not do this."""

    status = 401
    type = "authentication_error"


# How long a refused caller may go on sending before the connection is cut.
LINGER_SECONDS = 2.0


class _TooLarge(Exception):  # noqa: N818
    pass


class BodyLimit:
    """Answers 413 as soon as a body is known to be larger than `limit` bytes, whatever its headers claim."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._limit:
            await self._refuse(receive, send)
            return
        received, started = 0, False

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise _TooLarge
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            if received > self._limit and not started:
                raise _TooLarge  # the framework has turned the first one into an answer of its own
            started = True
            await send(message)

        try:
            await self._app(scope, counted_receive, watched_send)
        except _TooLarge:
            if not started:
                await self._refuse(receive, send)

    async def _refuse(self, receive: Receive, send: Send) -> None:
        """Answer at once, then take in what is still on its way.

        A connection closed over bytes that nobody read is reset, and the caller may lose the answer (RFC 9112, 9.6).
        """
        text = f"The body is larger than {self._limit} bytes."
        error = {"message": text, "type": "invalid_request_error", "param": None, "code": "body_too_large"}
        body = json.dumps({"error": error}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _drain(receive)
        await send({"type": "http.response.body", "body": b""})


async def _drain(receive: Receive) -> None:
    while (await receive()).get("more_body"):
        pass


async def require_key(request: Request) -> None:
    """Raises Forbidden unless the caller has the key, where one is set.

    Like `require_operator` it is asynchronous only so that FastAPI does not start a thread for it.
    """
    settings: Settings = request.app.state.settings
    if not settings.api_key:
        return
    scheme, _space, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(key.encode(), settings.api_key.encode()):
        raise Forbidden(
            "The API key is missing or wrong. Send it as `Authorization: Bearer KEY`.", code="invalid_api_key"
        )


async def require_operator(request: Request) -> None:
    """Raises Forbidden unless the caller has the key or, where none is set, is on this machine."""
    settings: Settings = request.app.state.settings
    if settings.api_key:
        await require_key(request)
    elif request.client is None or not _is_loopback(request.client.host):
        raise Forbidden("Set INFERENCE_API_KEY to manage models from another machine.", code="operator_only")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
