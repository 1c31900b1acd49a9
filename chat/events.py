"""`GET /api/replies/<id>/events`: a reply as server-sent events, resumable by `Last-Event-ID`."""

import uuid

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
    return StreamingHttpResponse(
        following.follow(reply_id, last_event_id=last_event_id),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _may_follow(user: User, reply_id: uuid.UUID) -> bool:
    try:
        return Reply.objects.filter(pk=reply_id, message__conversation__user=user).exists()
    finally:
        # A stream lasts for minutes: its connection goes back to the pool before it begins.
        give_back()
