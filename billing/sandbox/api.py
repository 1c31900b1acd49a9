"""The HTTP API: authentication, versions, the rate limit, idempotency keys, errors, around one table of operations."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import APIError, invalid
from billing.sandbox.events import Cause
from billing.sandbox.expansion import expanded
from billing.sandbox.idempotency import Keys
from billing.sandbox.limits import RateLimit
from billing.sandbox.operations import DROPPED, OPERATIONS, Operation
from billing.sandbox.params import Params
from billing.sandbox.resources import test_clocks
from billing.sandbox.store import Document, new_id
from billing.sandbox.versions import Versions

_PATTERNS = [
    (method, re.compile(re.escape(path).replace(r"\*", "([A-Za-z0-9_]+)") + "$"), operation)
    for (method, path), operation in OPERATIONS.items()
]
# Operations that take no parameters but `expand` say so by the name of their argument.
_WITHOUT_PARAMETERS = {one for one in OPERATIONS.values() if "_params" in inspect.signature(one).parameters}


class API:
    """`POST /v1/...` and its kin, for requests signed with the account's key."""

    def __init__(self, account: Account, *, api_key: str | None, versions: Versions, limit: RateLimit) -> None:
        self._account = account
        self._api_key = api_key
        self._versions = versions
        self._limit = limit
        self._keys = Keys(account.store)

    async def handle(self, request: Request) -> Response:
        headers = {"Request-Id": new_id("req")}
        try:
            self._limit.count()
            self._authenticate(request)
            headers["Stripe-Version"] = self._versions.answering(request.headers.get("stripe-version"))
            body = (await request.body()).decode()
            params = _parameters(request, body)
            status, answer, more = self._answer(request, params, body, headers["Request-Id"])
            headers |= more
        except APIError as error:
            status, answer = error.status, error.body
            headers |= error.headers
        except UnicodeDecodeError:
            status, answer = 400, invalid("The body is not UTF-8.").body
        return JSONResponse(answer, status_code=status, headers=headers)

    def _authenticate(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        is_known = given == self._api_key if self._api_key else given.startswith(("sk_test_", "rk_test_"))
        if not is_known:
            raise APIError(401, "invalid_request_error", "Invalid API Key provided.")

    def _answer(
        self, request: Request, params: Params, body: str, request_id: str
    ) -> tuple[int, Document, dict[str, str]]:
        """(status, answer, further headers)."""
        key, store = request.headers.get("idempotency-key"), self._account.store
        with store.change(), self._account.events.caused_by(Cause(request_id, key)):
            if request.method != "POST" or not key:
                return *self._failing(request, *self._run(request, params)), {}
            said, now, echo = f"{request.url.path}\n{body}", self._account.now(), {"Idempotency-Key": key}
            if known := self._keys.known(key, said, now=now):
                return *known, {**echo, "Idempotent-Replayed": "true"}
            status, answer = self._run(request, params)
            shown = self._failing(request, status, answer)
            # Version 2 of the API repeats what succeeded and tries again what failed; version 1 repeats both.
            kept = (status, answer) if request.url.path.startswith("/v2/") else shown
            if _is_kept(request, *kept):
                self._keys.keep(key, said, status=kept[0], answer=kept[1], now=now)
        return *shown, echo

    def _failing(self, request: Request, status: int, answer: Document) -> tuple[int, Document]:
        """What was done stays done; a fault makes it look as if it had failed."""
        if not request.scope.get("fails_after_commit"):
            return status, answer
        return 500, APIError(500, "api_error", "An unknown error occurred.").body

    def _run(self, request: Request, params: Params) -> tuple[int, Document]:
        account = self._account
        try:
            operation, ids = _operation(request.method, request.url.path)
            if operation in _WITHOUT_PARAMETERS:
                p.known(params)
            if request.headers.get("stripe-version"):
                _refuse_dropped(operation, params)
            with account.store.change(), test_clocks.time_of(account, _about(params, ids)):
                try:
                    answer = operation(account, params, *ids)
                except APIError as error:
                    if not error.keeps:
                        raise
                    return error.status, error.body
                if request.scope.get("reads_stale"):
                    answer = account.events.before_last_change(answer)
                return 200, expanded(account, answer, params.get("expand") or [])
        except APIError as error:
            return error.status, error.body


def _is_kept(request: Request, status: int, answer: Document) -> bool:
    """Whether the key's next request gets this answer: not when parameters were refused before anything was begun."""
    if request.url.path.startswith("/v2/"):
        return status < 400
    return not str((answer.get("error") or {}).get("code", "")).startswith("parameter_")


def _parameters(request: Request, body: str) -> Params:
    """Form-encoded in version 1 of the API and in every query, JSON in the bodies of version 2."""
    if not request.headers.get("content-type", "").startswith("application/json") or not body:
        return p.parse(request.url.query if request.method in ("GET", "DELETE") and not body else body)
    try:
        given = json.loads(body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise invalid("The body is not a JSON object.")
    return given


def _about(params: Params, ids: tuple[str, ...]) -> Iterator[str]:
    """The ids of what a request is about; a test clock's objects live in its time."""
    given = (params.get(name) for name in ("customer", "subscription", "invoice", "from_subscription", "test_clock"))
    yield from (one for one in (*ids, *given) if isinstance(one, str))


def _refuse_dropped(operation: Operation, params: Params) -> None:
    name = f"{operation.__module__.rpartition('.')[2]}.{operation.__name__}"
    for dropped in DROPPED.get(name, ()):
        if dropped in params:
            raise invalid(f"Received unknown parameter: {dropped}", param=dropped, code="parameter_unknown")


def _operation(method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
    for wanted, pattern, operation in _PATTERNS:
        if wanted == method and (match := pattern.match(path)):
            return operation, match.groups()
    text = f"Unrecognized request URL ({method}: {path}). The simulated Stripe has no such operation."
    raise APIError(404, "invalid_request_error", text)
