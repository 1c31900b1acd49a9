"""Stripe's way in: an ASGI application for one address, which `config.asgi` asks before Django.

Stripe's posts have no session, language or page that any middleware could be for, come in floods, and each waits for a
commit. So there is no thread for each of them: what is read is verified in the event loop, and what is verified is
stored together with what came at the same time (`billing.group_commit`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from billing import stripe, webhooks
from billing.group_commit import GroupCommit

logger = logging.getLogger(__name__)

PATH = "/billing/webhook"

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Gone(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """Who posted has hung up before the end."""


class Intake:
    """200 when the event is safely stored; 400 for anything Stripe did not sign; 503 so that Stripe tries again."""

    def __init__(self) -> None:
        self._commits = GroupCommit()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await _answer(send, 405, "Only POST.", ("Allow", "POST"))
            return
        try:
            status, text = await self._take(scope, receive)
        except Gone:
            return
        except Exception:
            logger.exception("A webhook could not be taken")
            status, text = 500, "Something is wrong here."
        await _answer(send, status, text)

    async def _take(self, scope: Mapping[str, Any], receive: Receive) -> tuple[int, str]:
        try:
            body = await _body(scope, receive)
            delivery = webhooks.opened(body=body, signature=_header(scope, b"stripe-signature"), now=timezone.now())
            is_new = await self._commits.store(delivery)
        except (stripe.BadSignature, webhooks.BadEvent):
            return 400, "Not a signed event."
        except (DatabaseError, InterfaceError):
            return 503, "Try again later."
        return 200, "Stored." if is_new else "Known."


async def _body(scope: Mapping[str, Any], receive: Receive) -> bytes:
    """The raw body; raises `BadEvent` when it is too large, `Gone` when it was cut off."""
    length = _header(scope, b"content-length") or "0"
    if not length.isascii() or not length.isdigit() or len(length) > 10 or int(length) > webhooks.LARGEST_BODY:
        raise webhooks.BadEvent("Too large.")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > webhooks.LARGEST_BODY:
            raise webhooks.BadEvent("Too large.")
        if not message.get("more_body", False):
            return bytes(body)


def _header(scope: Mapping[str, Any], name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)


async def _answer(send: Send, status: int, text: str, *more: tuple[str, str]) -> None:
    headers = {
        "Content-Type": "text/plain",
        "Content-Length": str(len(text)),
        **settings.HEADERS_OF_EVERYTHING,
        **dict(more),
    }
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": text.encode()})
