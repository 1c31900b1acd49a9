"""What holds for every request of a program: its answer has a number, and a version that it may insist on.

Behind https a program that asks in plain http is refused instead of redirected: followed unseen, a redirect would have
it send its key in the clear for ever.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils import translation
from django.utils.translation import gettext as _

from chat.openai.errors import ApiError

logger = logging.getLogger(__name__)

NUMBER, VERSION = "x-request-id", "api-version"
OURS, OPENAIS = "/api/", "/v1/"  # the latter has its version in the address
VERSIONS = ("1",)
REFERENCE = "/api/docs"  # a page for people


class ProgramsMiddleware:
    """Completions bring the number of their own (chat.openai), under which the model service knows them too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith((OURS, OPENAIS)):
            return self._get_response(request)
        answer = self._refusal(request) or self._get_response(request)
        if request.path.startswith(OURS):
            answer.headers[VERSION] = VERSIONS[-1]
        answer.headers.setdefault(NUMBER, f"req_{uuid.uuid4().hex}")
        answer.headers.setdefault("Cache-Control", "no-store")
        if answer.status_code >= 500:
            logger.error("%s %a: %s (%s)", request.method, request.path, answer.status_code, answer.headers[NUMBER])
        return answer

    def _refusal(self, request: HttpRequest) -> HttpResponseBase | None:
        """For a program that speaks in the clear, and for one that was written for a version that is not there."""
        if settings.HTTPS and not request.is_secure() and request.path != REFERENCE:
            return _in_the_clear(request)
        wanted = request.headers.get(VERSION, VERSIONS[-1])
        if wanted in VERSIONS or not request.path.startswith(OURS):
            return None
        # The middleware that sees to the language comes after this one.
        with translation.override(translation.get_language_from_request(request)):
            text = _("This site has no such version of the API. There are: %(versions)s.") % {
                "versions": ", ".join(VERSIONS)
            }
        return JsonResponse({"error": {"code": "no_such_version", "message": text}}, status=406)


def _in_the_clear(request: HttpRequest) -> HttpResponseBase:
    if request.path.startswith(OPENAIS):
        return ApiError(403, "https_required", f"Ask {settings.SITE_URL}: this went over plain http.").response()
    with translation.override(translation.get_language_from_request(request)):
        text = _("Ask %(site)s: this went over plain http, where others can read the key.") % {
            "site": settings.SITE_URL
        }
    return JsonResponse({"error": {"code": "https_required", "message": text}}, status=403)
