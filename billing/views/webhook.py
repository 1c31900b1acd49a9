"""Stripe's way in."""

from __future__ import annotations

import logging

from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, RawPostDataException, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing import stripe, waking, webhooks

logger = logging.getLogger(__name__)


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """200 when the event is safely stored; 400 for anything Stripe did not sign; 503 so that Stripe tries again."""
    try:
        body = _body(request)
        is_new = webhooks.receive(body=body, signature=request.headers.get("Stripe-Signature", ""), now=timezone.now())
    except (stripe.BadSignature, webhooks.BadEvent):
        return _answer("Not a signed event.", status=400)
    except (DatabaseError, InterfaceError):
        logger.exception("A webhook could not be stored")
        return _answer("Try again later.", status=503)
    waking.wake()
    return _answer("Stored." if is_new else "Known.")


def _answer(text: str, *, status: int = 200) -> HttpResponse:
    """No middleware gives its length, without which the server would send it in chunks."""
    headers = {"Content-Type": "text/plain", "Content-Length": str(len(text))}
    return HttpResponse(text, status=status, headers=headers)


def _body(request: HttpRequest) -> bytes:
    """The raw body; raises `BadEvent` when it is too large or was cut off."""
    length = request.headers.get("Content-Length") or "0"
    if not length.isascii() or not length.isdigit() or int(length) > webhooks.LARGEST_BODY:
        raise webhooks.BadEvent("Too large.")
    try:
        body = request.body
    except (RequestDataTooBig, UnreadablePostError, RawPostDataException) as error:
        raise webhooks.BadEvent(str(error)) from error
    if len(body) > webhooks.LARGEST_BODY:
        raise webhooks.BadEvent("Too large.")
    return body
