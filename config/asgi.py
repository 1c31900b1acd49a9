"""The ASGI entry point: `uvicorn config.asgi:application`."""

import os
from typing import Any, cast

import django
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - Django is set up first
from django.core.handlers.exception import convert_exception_to_response  # noqa: E402 - reads the settings
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import reverse  # noqa: E402
from servestatic.middleware import ServeStaticMiddleware  # noqa: E402

from billing.views.webhook import webhook  # noqa: E402


class Application(ASGIHandler):
    """Serves static files in the event loop, and does everything else of a request in one thread after one hop.

    Django's own handler goes back to the loop before the view and hops to a thread again for the view and for parts
    of the middlewares: five hops more, whose price a person who has pressed Enter waits for. Asynchronous views still
    run in the loop.
    """

    _middleware_chain: Any

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)
        self._pages = ServeStaticMiddleware(sync_to_async(self._middleware_chain, thread_sensitive=True))
        # Stripe's posts have no session, language or page that any middleware could be for, and come in floods.
        self._webhook = sync_to_async(convert_exception_to_response(webhook), thread_sensitive=True)
        self._webhook_path = reverse("stripe-webhook")
        self._middleware_chain = self._answer

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        if request.path_info != self._webhook_path:
            return cast(HttpResponse, await self._pages(request))
        answer = cast(HttpResponse, await self._webhook(request))
        for name, value in settings.HEADERS_OF_EVERYTHING.items():
            answer.headers[name] = value
        return answer


application = Application()
