"""Pages for requests that Django itself refuses; those of the API are in `api_errors`."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views import defaults


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A form that is too long is told so, and how long it may be, as a page or to a script of ours."""
    if not isinstance(exception, RequestDataTooBig):
        return defaults.bad_request(request, exception)
    text = _(
        "What you sent is longer than %(limit)s bytes, and nothing of it was taken. Go back, shorten it, and send it."
    ) % {"limit": f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,}"}
    if "text/html" not in request.headers.get("Accept", ""):
        return JsonResponse({"code": "request_too_large", "detail": text}, status=413)
    return render(request, "413.html", {"text": text}, status=413)
