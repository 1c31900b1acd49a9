"""All of it as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from billing.sandbox.account import Account
from billing.sandbox.api import API
from billing.sandbox.clock import Clock
from billing.sandbox.control import Control
from billing.sandbox.events import Endpoint, Events
from billing.sandbox.faults import App, Faults, FaultyRequests
from billing.sandbox.limits import RateLimit
from billing.sandbox.pages import Pages
from billing.sandbox.resources import entitlements
from billing.sandbox.store import Store
from billing.sandbox.versions import Versions

HERE = Path(__file__).parent


def create_app(
    *, state: str, base_url: str, api_key: str | None, endpoint: Endpoint | None, requests_per_second: int = 0
) -> App:
    """The simulated Stripe over the SQLite file `state`, with pages at `base_url` and webhooks to `endpoint`."""
    store = Store(state)
    faults = Faults()
    events = Events(store, endpoint, faults)
    account = Account(store, events, base_url)
    events.listeners.append(partial(entitlements.hear, account))
    templates = Jinja2Templates(HERE / "templates")
    templates.env.filters["as_date"] = lambda seconds: datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d")
    pages = Pages(account, templates)
    versions, limit = Versions(store), RateLimit(requests_per_second)
    api = API(account, api_key=api_key, versions=versions, limit=limit)
    clock = Clock(account)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        events.start()
        clock.start()
        yield
        clock.stop()
        events.stop()

    both = ["GET", "POST"]
    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", pages.front),
            Route("/checkout/{session_id}", pages.checkout, methods=both),
            Route("/portal/{session_id}", pages.portal, methods=both),
            Route("/invoice/{invoice_id}", pages.invoice, methods=both),
            Route("/invoice/{invoice_id}/pdf", pages.invoice_pdf),
            *Control(account, faults, versions=versions, limit=limit).routes(),
            Mount("/_static", StaticFiles(directory=HERE / "static"), name="static"),
            Route("/v1/{path:path}", api.handle, methods=["GET", "POST", "DELETE"]),
            Route("/v2/{path:path}", api.handle, methods=["GET", "POST", "DELETE"]),
        ],
    )
    return FaultyRequests(app, faults)
