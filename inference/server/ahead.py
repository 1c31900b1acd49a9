"""Replies that are begun before anybody reads them.

Who will ask in a moment, and still has to store something first, sends the request with `Prefer: respond-async`
(RFC 7240, 4.1) and is answered 202 at once. The very same request under the same `X-Request-ID` takes the reply over,
from its first token on.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from inference.server.protocol import GenerationRequest
from inference.server.replies import Replies

logger = logging.getLogger(__name__)
HOW_IT_IS_READ = {"stream", "stream_options"}
"""What the two requests may differ in."""
BEGUN: dict[int | str, dict[str, Any]] = {
    202: {"description": "Begun, for whoever asks for the same under the same request id"}
}
_PREFERENCE = re.compile(r"(^|,)\s*respond-async\s*(;|,|$)", re.IGNORECASE)


def is_preferred(request: Request) -> bool:
    """Whether the caller wants the reply begun, and will come for it. Without a request id nobody could."""
    return bool(request.headers.get("x-request-id") and _PREFERENCE.search(request.headers.get("prefer", "")))


@dataclass(frozen=True)
class _Begun:
    body: GenerationRequest
    replies: Replies
    end: asyncio.TimerHandle


class RepliesAhead:
    """Those of one service, by request id; each ends when nobody comes for it within `seconds`. Of one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun: dict[str, _Begun] = {}

    def keep(self, request_id: str, body: GenerationRequest, replies: Replies) -> Response:
        """Let the replies go on until somebody takes them over."""
        self._drop(request_id)
        end = asyncio.get_running_loop().call_later(self._seconds, self._drop, request_id)
        self._begun[request_id] = _Begun(body, replies, end)
        return Response(status_code=202, headers={"Preference-Applied": "respond-async", "X-Request-ID": request_id})

    def take(self, request_id: str, body: GenerationRequest) -> Replies | None:
        """The replies to this request, once. When it has become another one, what was begun ends."""
        begun = self._begun.get(request_id)
        if begun is None:
            return None
        if _asked(begun.body) != _asked(body):
            self._drop(request_id)
            return None
        del self._begun[request_id]
        begun.end.cancel()
        return begun.replies

    def _drop(self, request_id: str) -> None:
        if begun := self._begun.pop(request_id, None):
            begun.end.cancel()
            begun.replies.cancel()
            logger.info("nobody came for a reply", extra={"request_id": request_id})


def _asked(body: GenerationRequest) -> dict[str, object]:
    return {"as": type(body), **body.model_dump(exclude=HOW_IT_IS_READ)}
