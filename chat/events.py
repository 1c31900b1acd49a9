"""A reply as server-sent events: in the answer to the message, or from `GET /api/replies/<id>/events`, resumable by
`Last-Event-ID`."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.authentication import BadKey, key_of
from accounts.models import ApiKey, User
from billing.entitlements import entitlement_of
from chat import following
from chat.models import Reply


@require_GET
async def events(request: HttpRequest, reply_id: uuid.UUID) -> HttpResponseBase:
    reader = await sync_to_async(_reader)(request)
    if reader is None:
        return JsonResponse({"error": {"code": "not_authenticated", "message": "Sign in first."}}, status=401)
    if not await sync_to_async(_may_follow)(reader, reply_id):
        return JsonResponse({"error": {"code": "not_found", "message": "There is no such reply."}}, status=404)
    last_event_id = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    return _stream(following.follow(reply_id, last_event_id=last_event_id), status=200)


def sent(reply: Reply, answer: dict[str, Any]) -> StreamingHttpResponse:
    """The answer to a message as the event `sent`, and the events of its reply in the same response.

    Saves the request that would follow the reply, at the very time when the model computes its prompt. Whoever loses
    this response goes on with `events` from the last id it saw.
    """
    return _stream(following.follow_new(reply, ("sent", answer)), status=201)


def _stream(events: AsyncIterator[bytes], *, status: int) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        events,
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        status=status,
    )


def _reader(request: HttpRequest) -> User | None:
    """Who is signed in, or the owner of a key with the scope `chat` whose plan lets programs in."""
    now = timezone.now()
    try:
        key = key_of(request, now=now)
        if key is None:
            return request.user if isinstance(request.user, User) else None
        is_let_in = ApiKey.Scope.CHAT in key.scopes and entitlement_of(key.user, now=now).has_api_access
        return key.user if is_let_in else None
    except BadKey:
        return None


def _may_follow(user: User, reply_id: uuid.UUID) -> bool:
    return Reply.objects.filter(pk=reply_id, message__conversation__user=user).exists()
