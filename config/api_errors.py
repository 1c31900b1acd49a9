"""Errors of the API: always `{"error": {"code", "message", ...}}`, in the person's language, saying what to do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts.api_keys import CapReached
from billing import rate_limits
from billing.quota import QuotaExceeded
from chat.sending import BadMessage


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: domain errors become answers, DRF's own get our shape, the rest stay errors."""
    if isinstance(error, BadMessage):
        return _answer(status.HTTP_400_BAD_REQUEST, error.code, str(error))
    if isinstance(error, QuotaExceeded):
        return _quota_answer(error)
    if isinstance(error, CapReached):
        return _cap_answer(error)
    if isinstance(error, RequestDataTooBig):
        text = _("A request has at most %(limit)s bytes. Shorten it or split it.")
        limit = f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,}"
        return _answer(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "request_too_large", text % {"limit": limit})
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, ValidationError):
        response.data = {"error": {"code": "invalid", "message": _("Check these fields."), "fields": error.detail}}
    elif isinstance(error, Http404):
        response.data = {"error": {"code": "not_found", "message": _("There is no such thing here.")}}
    elif isinstance(error, APIException):
        response.data = {"error": {"code": str(error.get_codes()), "message": str(error.detail)}}
    return response


@csrf_exempt  # it does nothing
def nothing_here(_request: HttpRequest) -> JsonResponse:
    """For a program that asks below `/api` where there is no address, as with an id that is none."""
    return JsonResponse({"error": {"code": "not_found", "message": _("There is no such thing here.")}}, status=404)


def _quota_answer(error: QuotaExceeded) -> Response:
    more = {**rate_limits.numbers(error), "plans_url": reverse("plans")}
    response = _answer(status.HTTP_429_TOO_MANY_REQUESTS, "quota_exceeded", str(error), **more)
    for name, value in rate_limits.headers(error, now=timezone.now()).items():
        response[name] = value
    return response


def _cap_answer(error: CapReached) -> Response:
    text = _("This key has spent its cap of %(cap)s tokens a month. Use another key, or wait for the next month.")
    more = {"limit": error.cap, "resets_at": error.resets_at.isoformat().replace("+00:00", "Z")}
    response = _answer(status.HTTP_429_TOO_MANY_REQUESTS, "key_cap_reached", text % {"cap": f"{error.cap:,}"}, **more)
    for name, value in rate_limits.until(error.resets_at, now=timezone.now()).items():
        response[name] = value
    return response


def _answer(code: int, name: str, message: str, **more: object) -> Response:
    return Response({"error": {"code": name, "message": message, **more}}, status=code)
