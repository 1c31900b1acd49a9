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
from billing.sandbox.events import API_VERSION, DESTINATION
from billing.sandbox.faults import Faults
from billing.sandbox.limits import STRIPES, RateLimit
from billing.sandbox.resources import disputes, warnings, ways
from billing.sandbox.versions import Versions

# What somebody who sells things has made, as opposed to what customers do.
CATALOGUE = (
    "product", "price", "currency_options", "plan", "coupon", "promotion_code", "tax_rate", "entitlements.feature",
    "product_feature", "feature_of_product", "billing.meter", "billing_portal.configuration",
    "webhook_endpoint", DESTINATION, "way_to_destination",
)  # fmt: skip


class Control:
    def __init__(self, account: Account, faults: Faults, *, versions: Versions, limit: RateLimit) -> None:
        self._account = account
        self._faults = faults
        self._versions = versions
        self._limit = limit

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/_ctl/disputes/{charge_id}", self.dispute, methods=["POST"]),
            Route("/_ctl/disputes/{dispute_id}/decide", self.decide, methods=["POST"]),
            Route("/_ctl/fraud_warnings/{charge_id}", self.warn, methods=["POST"]),
            Route("/_ctl/time", self.pass_time, methods=["POST"]),
            Route("/_ctl/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/_ctl/resend", self.resend, methods=["POST"]),
            Route("/_ctl/customers", self.forget, methods=["DELETE"]),
            Route("/_ctl/rate_limit", self.rate_limit, methods=["POST"]),
            Route("/_ctl/after_retries", self.after_retries, methods=["POST"]),
            Route("/_ctl/skew", self.skew, methods=["POST"]),
            Route("/_ctl/version", self.version, methods=["POST"]),
            Route("/_ctl/secret", self.roll_secret, methods=["POST"]),
        ]

    async def dispute(self, request: Request) -> JSONResponse:
        """A bank's customer contests a charge."""
        with self._account.store.change():
            return JSONResponse(disputes.open_on(self._account, request.path_params["charge_id"]))

    async def decide(self, request: Request) -> JSONResponse:
        """`{"won": true}`: the bank decides a dispute."""
        is_won = bool((await request.json())["won"])
        with self._account.store.change():
            dispute = self._account.store.get("dispute", request.path_params["dispute_id"])
            return JSONResponse(disputes.decide(self._account, dispute, is_won=is_won))

    async def warn(self, request: Request) -> JSONResponse:
        """A card's issuer tells of fraud."""
        with self._account.store.change():
            made = self._account.store.get("charge", request.path_params["charge_id"])
            return JSONResponse(warnings.warn_of(self._account, made))

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

    async def rate_limit(self, request: Request) -> JSONResponse:
        """`{"per_second": 25}`: refuse what is more than that; 0 for no limit."""
        self._limit.per_second = int((await request.json()).get("per_second", STRIPES))
        return JSONResponse({"per_second": self._limit.per_second})

    async def after_retries(self, request: Request) -> JSONResponse:
        """`{"status": "unpaid"}`: what becomes of a subscription when the last retry fails, as the dashboard sets."""
        status = str((await request.json())["status"])
        if status not in ("cancel", "unpaid", "past_due"):
            return JSONResponse({"error": {"message": "It is cancel, unpaid or past_due."}}, status_code=400)
        self._account.store.set("after_retries", status)
        return JSONResponse({"status": status})

    async def skew(self, request: Request) -> JSONResponse:
        """`{"seconds": n}`: this Stripe's clock is so far ahead of everybody else's, or behind when it is negative."""
        self._account.store.skew = int((await request.json())["seconds"])
        return JSONResponse({"now": self._account.now()})

    async def version(self, request: Request) -> JSONResponse:
        """`{"version": …, "is_retired": false}`: the account's version is now this; ours may not be spoken any more."""
        given = await request.json()
        version = str(given.get("version", API_VERSION))
        self._versions.change(version, is_retired=bool(given.get("is_retired", False)))
        return JSONResponse({"version": self._versions.default, "is_retired": self._versions.is_retired})

    async def forget(self, _request: Request) -> JSONResponse:
        """Every customer with all that they did, and every event; what is sold stays. For tests that share a server."""
        self._account.store.keep_only(CATALOGUE)
        return JSONResponse({"forgotten": True})

    async def roll_secret(self, request: Request) -> JSONResponse:
        """`{"secret": new, "is_old_valid": true}`: sign with the new secret, and with the old too while it holds.

        `{"endpoint": id, "old_holds_for": seconds}` does it for an endpoint or destination and answers its new secret.
        """
        given = await request.json()
        if owner := given.get("endpoint"):
            try:
                with self._account.store.change():
                    secret = ways.roll(self._account, owner, old_holds_for=int(given.get("old_holds_for", 0)))
            except APIError as error:
                return JSONResponse(error.body, status_code=error.status)
            return JSONResponse({"secret": secret})
        self._account.events.roll_secret(str(given["secret"]), is_old_valid=bool(given.get("is_old_valid", True)))
        return JSONResponse({"rolled": True})
