"""The ASGI entry point: `uvicorn config.asgi:application`."""

import os
from collections.abc import Callable
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_started
from django.db import close_old_connections, reset_queries
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from servestatic.middleware import ServeStaticMiddleware  # noqa: E402 - Django is set up first

from billing import intake  # noqa: E402
from chat.pooling import give_back  # noqa: E402
from config import garbage  # noqa: E402

# Each request has a thread of its own here, in which nothing is left of another's: without them it starts a hop sooner.
request_started.disconnect(reset_queries)
request_started.disconnect(close_old_connections)

Respond = Callable[[HttpRequest], HttpResponseBase]


class Application(ASGIHandler):
    """Serves static files in the event loop, and does everything else of a request in one thread after one hop.

    Django's own handler goes back to the loop before the view and hops to a thread again for the view and for parts
    of the middlewares: five hops more, whose price a person who has pressed Enter waits for. Asynchronous views still
    run in the loop. Stripe's posts never come to Django at all.
    """

    _middleware_chain: Any

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)
        respond = sync_to_async(_holding_nothing(self._middleware_chain), thread_sensitive=True)
        self._middleware_chain = ServeStaticMiddleware(respond)
        self._intake = intake.Intake()
        get_resolver().url_patterns  # noqa: B018 - all pages are loaded now, not with the first request

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == intake.PATH:
            await self._intake(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _holding_nothing(respond: Respond) -> Respond:
    """A stream lasts for minutes, and its thread with it: whatever the view and the middlewares asked the database, the
    connection is back in the pool before the stream begins. At a request's end Django gives it back itself."""

    def wrapped(request: HttpRequest) -> HttpResponseBase:
        response = respond(request)
        if response.streaming:
            give_back()
        return response

    return wrapped


application = Application()
garbage.settle()
