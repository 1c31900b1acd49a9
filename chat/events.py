"""A reply as server-sent events: in the answer to the message, or from `GET /api/replies/<id>/events`, resumable by
`Last-Event-ID`."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.http import require_GET

from accounts.models import User
from chat import following
from chat.models import Reply
from chat.pooling import give_back


@require_GET
async def events(request: HttpRequest, reply_id: uuid.UUID) -> HttpResponseBase:
    if not isinstance(request.user, User):
        return JsonResponse({"error": {"code": "not_authenticated", "message": "Sign in first."}}, status=401)
    if not await sync_to_async(_may_follow)(request.user, reply_id):
        raise Http404
    last_event_id = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    return _stream(following.follow(reply_id, last_event_id=last_event_id), status=200)


def sent(reply: Reply, answer: dict[str, Any]) -> StreamingHttpResponse:
    """The answer to a message as the event `sent`, and the events of its reply in the same response.

    Saves the request that would follow the reply, at the very time when the model computes its prompt. Whoever loses
    this response goes on with `events` from the last id it saw.
    """
    give_back()  # the thread of this request lives as long as the stream
    return _stream(following.follow_new(reply, ("sent", answer)), status=201)


def _stream(events: AsyncIterator[bytes], *, status: int) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        events,
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        status=status,
    )


def _may_follow(user: User, reply_id: uuid.UUID) -> bool:
    try:
        return Reply.objects.filter(pk=reply_id, message__conversation__user=user).exists()
    finally:
        # A stream lasts for minutes: its connection goes back to the pool before it begins.
        give_back()
