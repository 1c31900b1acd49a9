"""The HTTP API: one table of operations, authentication, idempotency keys, expansion, errors."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import APIError, invalid
from billing.sandbox.events import API_VERSION
from billing.sandbox.operations import DROPPED, OPERATIONS, Operation
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id

_PATTERNS = [
    (method, re.compile(re.escape(path).replace(r"\*", "([A-Za-z0-9_]+)") + "$"), operation)
    for (method, path), operation in OPERATIONS.items()
]
# What `expand` can turn from an id into the object, by the name of the field.
_EXPANDABLE = {
    "customer": "customer", "latest_invoice": "invoice", "invoice": "invoice", "subscription": "subscription",
    "default_payment_method": "payment_method", "payment_intent": "payment_intent", "charge": "charge",
    "latest_charge": "charge", "product": "product", "schedule": "subscription_schedule", "discounts": "discount",
    "coupon": "coupon", "promotion_code": "promotion_code", "payment_method": "payment_method",
    "pending_setup_intent": "setup_intent", "discount": "discount",
}  # fmt: skip


class API:
    """`POST /v1/...` and its kin, for requests signed with the account's key."""

    def __init__(self, account: Account, *, api_key: str | None) -> None:
        self._account = account
        self._api_key = api_key

    async def handle(self, request: Request) -> Response:
        headers = {"Request-Id": new_id("req"), "Stripe-Version": request.headers.get("stripe-version", "")}
        try:
            self._authenticate(request)
            _check_version(request.headers.get("stripe-version"))
            body = (await request.body()).decode()
            params = _parameters(request, body)
            status, answer = self._answer(request, params, body)
        except APIError as error:
            status, answer = error.status, error.body
        except UnicodeDecodeError:
            status, answer = 400, invalid("The body is not UTF-8.").body
        return JSONResponse(answer, status_code=status, headers=headers)

    def _authenticate(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        is_known = given == self._api_key if self._api_key else given.startswith(("sk_test_", "rk_test_"))
        if not is_known:
            raise APIError(401, "invalid_request_error", "Invalid API Key provided.")

    def _answer(self, request: Request, params: Params, body: str) -> tuple[int, Document]:
        key = request.headers.get("idempotency-key")
        if request.method != "POST" or not key:
            return self._failing_after_commit(request, *self._run(request, params))
        digest = hashlib.sha256(f"{request.url.path}\n{body}".encode()).hexdigest()
        store = self._account.store
        with store.change():
            known = store.execute("SELECT request, status, answer FROM idempotency WHERE key = ?", key)
            if known:
                if known[0][0] != digest:
                    text = (
                        "Keys for idempotent requests can only be used with the parameters they were first used with."
                    )
                    raise APIError(400, "idempotency_error", text)
                return known[0][1], json.loads(known[0][2])
            status, answer = self._failing_after_commit(request, *self._run(request, params))
            store.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?)", key, digest, status, json.dumps(answer))
        return status, answer

    def _failing_after_commit(self, request: Request, status: int, answer: Document) -> tuple[int, Document]:
        """What was done stays done; a fault makes it look as if it had failed, for the repeats too."""
        if not request.scope.get("fails_after_commit"):
            return status, answer
        return 500, APIError(500, "api_error", "An unknown error occurred.").body

    def _run(self, request: Request, params: Params) -> tuple[int, Document]:
        operation, ids = _operation(request.method, request.url.path)
        if request.headers.get("stripe-version"):
            _refuse_dropped(operation, params)
        try:
            with self._account.store.change():
                try:
                    answer = operation(self._account, params, *ids)
                except APIError as error:
                    if not error.keeps:
                        raise
                    return error.status, error.body
        except APIError as error:
            return error.status, error.body
        return 200, self._expanded(answer, params.get("expand") or [])

    def _expanded(self, answer: Document, paths: Any) -> Document:
        for path in paths if isinstance(paths, list) else []:
            self._expand(answer, path.split("."))
        return answer

    def _expand(self, node: Any, path: list[str]) -> None:
        if isinstance(node, list):
            for entry in node:
                self._expand(entry, path)
        elif isinstance(node, dict) and path[0] in node:
            name, rest = path[0], path[1:]
            if name in _EXPANDABLE:
                node[name] = self._fetched(_EXPANDABLE[name], node[name])
            if rest:
                self._expand(node[name], rest)

    def _fetched(self, kind: str, value: Any) -> Any:
        """The object of an id, or the objects of a list of ids; what is expanded already stays."""
        if isinstance(value, list):
            return [self._fetched(kind, entry) for entry in value]
        return self._account.store.get(kind, value) if isinstance(value, str) else value


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


def _check_version(version: str | None) -> None:
    if version not in (None, API_VERSION):
        raise invalid(f"The simulated Stripe speaks version {API_VERSION} only, not {version}.")


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
