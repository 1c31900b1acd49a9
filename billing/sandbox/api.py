"""The HTTP API: one table of operations, authentication, idempotency keys, expansion, errors."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import APIError, invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import (
    catalogue,
    checkout,
    customers,
    invoices,
    payments,
    portal,
    schedules,
    subscriptions,
    test_clocks,
)
from billing.sandbox.store import Document, in_period, new_id

Operation = Callable[..., Document]


def list_events(account: Account, params: Params) -> Document:
    p.known(params, "type", "types", "created", "delivery_success", "limit", "starting_after", "ending_before")

    def is_wanted(event: Document) -> bool:
        is_type = params.get("type") in (None, event["type"]) and event["type"] in (
            params.get("types") or [event["type"]]
        )
        return is_type and in_period(event["created"], params.get("created"))

    return account.store.page(account.store.all("event", is_wanted), params, url="/v1/events")


def retrieve_event(account: Account, _params: Params, event_id: str) -> Document:
    return account.store.get("event", event_id)


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/customers"): customers.create,
    ("GET", "/v1/customers"): customers.listed,
    ("GET", "/v1/customers/*"): customers.retrieve,
    ("POST", "/v1/customers/*"): customers.update,
    ("DELETE", "/v1/customers/*"): customers.delete,
    ("POST", "/v1/products"): catalogue.create_product,
    ("GET", "/v1/products"): catalogue.list_products,
    ("GET", "/v1/products/*"): catalogue.retrieve_product,
    ("POST", "/v1/products/*"): catalogue.update_product,
    ("POST", "/v1/prices"): catalogue.create_price,
    ("GET", "/v1/prices"): catalogue.list_prices,
    ("GET", "/v1/prices/*"): catalogue.retrieve_price,
    ("POST", "/v1/prices/*"): catalogue.update_price,
    ("POST", "/v1/checkout/sessions"): checkout.create,
    ("GET", "/v1/checkout/sessions"): checkout.listed,
    ("GET", "/v1/checkout/sessions/*"): checkout.retrieve,
    ("POST", "/v1/checkout/sessions/*/expire"): checkout.expire,
    ("POST", "/v1/billing_portal/sessions"): portal.create,
    ("GET", "/v1/subscriptions"): subscriptions.listed,
    ("GET", "/v1/subscriptions/*"): subscriptions.retrieve,
    ("POST", "/v1/subscriptions/*"): subscriptions.update,
    ("DELETE", "/v1/subscriptions/*"): subscriptions.cancel,
    ("POST", "/v1/subscription_schedules"): schedules.create,
    ("GET", "/v1/subscription_schedules/*"): schedules.retrieve,
    ("POST", "/v1/subscription_schedules/*"): schedules.update,
    ("POST", "/v1/subscription_schedules/*/release"): schedules.release,
    ("POST", "/v1/invoices/create_preview"): subscriptions.preview,
    ("GET", "/v1/invoices"): invoices.listed,
    ("GET", "/v1/invoices/*"): invoices.retrieve,
    ("POST", "/v1/invoices/*/pay"): invoices.pay_now,
    ("GET", "/v1/invoice_payments"): payments.list_invoice_payments,
    ("GET", "/v1/payment_intents/*"): payments.retrieve_payment_intent,
    ("GET", "/v1/payment_methods/*"): payments.retrieve_payment_method,
    ("GET", "/v1/charges"): payments.list_charges,
    ("GET", "/v1/charges/*"): payments.retrieve_charge,
    ("POST", "/v1/refunds"): payments.create_refund,
    ("GET", "/v1/refunds"): payments.list_refunds,
    ("GET", "/v1/refunds/*"): payments.retrieve_refund,
    ("GET", "/v1/disputes/*"): payments.retrieve_dispute,
    ("POST", "/v1/test_helpers/test_clocks"): test_clocks.create,
    ("GET", "/v1/test_helpers/test_clocks"): test_clocks.listed,
    ("GET", "/v1/test_helpers/test_clocks/*"): test_clocks.retrieve,
    ("POST", "/v1/test_helpers/test_clocks/*/advance"): test_clocks.advance,
    ("DELETE", "/v1/test_helpers/test_clocks/*"): test_clocks.delete,
    ("GET", "/v1/events"): list_events,
    ("GET", "/v1/events/*"): retrieve_event,
}
_PATTERNS = [
    (method, re.compile(re.escape(path).replace(r"\*", "([A-Za-z0-9_]+)") + "$"), operation)
    for (method, path), operation in OPERATIONS.items()
]
# What `expand` can turn from an id into the object, by the name of the field.
_EXPANDABLE = {
    "customer": "customer", "latest_invoice": "invoice", "invoice": "invoice", "subscription": "subscription",
    "default_payment_method": "payment_method", "payment_intent": "payment_intent", "charge": "charge",
    "latest_charge": "charge", "product": "product", "schedule": "subscription_schedule",
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
            body = (await request.body()).decode()
            params = p.parse(request.url.query if request.method in ("GET", "DELETE") and not body else body)
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
            return self._run(request, params)
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
            status, answer = self._run(request, params)
            store.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?)", key, digest, status, json.dumps(answer))
        return status, answer

    def _run(self, request: Request, params: Params) -> tuple[int, Document]:
        operation, ids = _operation(request.method, request.url.path)
        try:
            with self._account.store.change():
                answer = operation(self._account, params, *ids)
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
            if isinstance(node[name], str) and name in _EXPANDABLE:
                node[name] = self._account.store.get(_EXPANDABLE[name], node[name])
            if rest:
                self._expand(node[name], rest)


def _operation(method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
    for wanted, pattern, operation in _PATTERNS:
        if wanted == method and (match := pattern.match(path)):
            return operation, match.groups()
    text = f"Unrecognized request URL ({method}: {path}). The simulated Stripe has no such operation."
    raise APIError(404, "invalid_request_error", text)
