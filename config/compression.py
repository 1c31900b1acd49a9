"""Pages go out compressed: of a conversation's page about a fifth is left (docs/performance.md)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class PageCompressionMiddleware(GZipMiddleware):
    """Compresses what a person looks at, and nothing else.

    A stream has to leave at once. The answer to a POST may show a secret, such as a new API key, next to words that
    were sent: there its length would tell of it (BREACH, https://www.breachattack.com). Pages are padded at random by
    Django, and their CSRF tokens are masked anew each time.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if response.streaming or request.method != "GET" or not is_page:
            return response
        return super().process_response(request, response)
