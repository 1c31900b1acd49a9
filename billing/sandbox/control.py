"""The control plane `/_ctl`: what banks, clocks and bad luck do, and no operation of Stripe's API."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from billing.sandbox.account import Account
from billing.sandbox.clock import move
from billing.sandbox.errors import APIError
from billing.sandbox.faults import Faults
from billing.sandbox.resources import disputes


class Control:
    def __init__(self, account: Account, faults: Faults) -> None:
        self._account = account
        self._faults = faults

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/_ctl/disputes/{charge_id}", self.dispute, methods=["POST"]),
            Route("/_ctl/time", self.pass_time, methods=["POST"]),
            Route("/_ctl/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/_ctl/resend", self.resend, methods=["POST"]),
            Route("/_ctl/secret", self.roll_secret, methods=["POST"]),
        ]

    async def dispute(self, request: Request) -> JSONResponse:
        """A bank's customer contests a charge."""
        with self._account.store.change():
            return JSONResponse(disputes.open_on(self._account, request.path_params["charge_id"]))

    async def pass_time(self, request: Request) -> JSONResponse:
        """`{"seconds": n}`: as if so much time had passed; answers with the time it is then."""
        seconds = int((await request.json())["seconds"])
        happened = await run_in_threadpool(move, self._account, self._account.now() + seconds)
        return JSONResponse({"now": self._account.now(), "happened": happened})

    async def faults(self, request: Request) -> JSONResponse:
        """GET lists what is armed, POST arms one fault or a list of them, DELETE disarms all."""
        if request.method == "DELETE":
            self._faults.clear()
        if request.method == "POST":
            given: Any = await request.json()
            try:
                for one in given if isinstance(given, list) else [given]:
                    self._faults.arm(one)
            except APIError as error:
                return JSONResponse(error.body, status_code=error.status)
        return JSONResponse({"armed": self._faults.armed()})

    async def resend(self, request: Request) -> JSONResponse:
        """`{"event": id, "times": 1}`: send an event of any age again, signed now."""
        given = await request.json()
        event = self._account.store.find("event", given["event"])
        if event is None:
            return JSONResponse({"error": {"message": "No such event."}}, status_code=404)
        for _time in range(int(given.get("times", 1))):
            self._account.events.send(event)
        return JSONResponse({"event": event["id"]})

    async def roll_secret(self, request: Request) -> JSONResponse:
        """`{"secret": new, "is_old_valid": true}`: sign with the new secret, and with the old too while it holds."""
        given = await request.json()
        self._account.events.roll_secret(str(given["secret"]), is_old_valid=bool(given.get("is_old_valid", True)))
        return JSONResponse({"rolled": True})
