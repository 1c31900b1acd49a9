"""All of it as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from billing.sandbox.account import Account
from billing.sandbox.api import API
from billing.sandbox.clock import Clock, move
from billing.sandbox.events import Endpoint, Events
from billing.sandbox.pages import Pages
from billing.sandbox.resources import disputes
from billing.sandbox.store import Store

HERE = Path(__file__).parent


def create_app(*, state: str, base_url: str, api_key: str | None, endpoint: Endpoint | None) -> Starlette:
    """The simulated Stripe over the SQLite file `state`, with pages at `base_url` and webhooks to `endpoint`."""
    store = Store(state)
    events = Events(store, endpoint)
    account = Account(store, events, base_url)
    templates = Jinja2Templates(HERE / "templates")
    templates.env.filters["as_date"] = lambda seconds: datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d")
    pages = Pages(account, templates)
    api = API(account, api_key=api_key)
    clock = Clock(account)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        events.start()
        clock.start()
        yield
        clock.stop()
        events.stop()

    async def dispute(request: Request) -> Response:
        """What a bank does; no operation of Stripe's API opens a dispute."""
        with store.change():
            return JSONResponse(disputes.open_on(account, request.path_params["charge_id"]))

    async def pass_time(request: Request) -> Response:
        """`{"seconds": n}`: as if so much time had passed; answers with the time it is then."""
        seconds = int((await request.json())["seconds"])
        happened = await run_in_threadpool(move, account, account.now() + seconds)
        return JSONResponse({"now": account.now(), "happened": happened})

    both = ["GET", "POST"]
    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", pages.front),
            Route("/checkout/{session_id}", pages.checkout, methods=both),
            Route("/portal/{session_id}", pages.portal, methods=both),
            Route("/invoice/{invoice_id}", pages.invoice),
            Route("/invoice/{invoice_id}/pdf", pages.invoice_pdf),
            Route("/_ctl/disputes/{charge_id}", dispute, methods=["POST"]),
            Route("/_ctl/time", pass_time, methods=["POST"]),
            Mount("/_static", StaticFiles(directory=HERE / "static"), name="static"),
            Route("/v1/{path:path}", api.handle, methods=["GET", "POST", "DELETE"]),
        ],
    )
