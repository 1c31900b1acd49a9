"""Stripe's search language over stored objects: `email:"a@b.c" AND metadata["user"]:"7" AND created>1700000000`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document

_CLAUSE = re.compile(
    r"""\s*(?P<no>-)?(?P<field>\w+)(\[["'](?P<key>[^"']+)["']\])?\s*(?P<sign>:|~|>=|<=|>|<)\s*"""
    r"""("(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>\w+))\s*"""
)
_FIELDS = {
    "customer": ("created", "email", "metadata", "name", "phone"),
    "invoice": ("created", "currency", "customer", "metadata", "number", "status", "subscription", "total"),
    "subscription": ("created", "metadata", "status", "canceled_at"),
    "product": ("active", "description", "metadata", "name", "url"),
    "price": ("active", "currency", "lookup_key", "metadata", "product", "type"),
    "charge": ("amount", "created", "currency", "customer", "metadata", "refunded", "status", "disputed"),
    "payment_intent": ("amount", "created", "currency", "customer", "metadata", "status"),
}
_URLS = {"customer": "customers", "invoice": "invoices", "subscription": "subscriptions", "product": "products",
         "price": "prices", "charge": "charges", "payment_intent": "payment_intents"}  # fmt: skip


def of(kind: str) -> Callable[[Account, Params], Document]:
    """The operation that searches objects of a kind. Real searches lag behind by up to a minute; this one does not."""

    def search(account: Account, params: Params) -> Document:
        p.known(params, "query", "limit", "page")
        tests, is_any = _tests(str(p.required(params, "query")), kind)
        join = any if is_any else all
        limit = p.integer(params.get("limit"), param="limit", default=10)
        start = p.integer(params.get("page"), param="page", default=0)
        if not 1 <= limit <= 100:
            raise invalid("Limit must be between 1 and 100.", param="limit")
        found = account.store.all(kind, lambda one: not one.get("deleted") and join(test(one) for test in tests))
        has_more = len(found) > start + limit
        return {
            "object": "search_result",
            "url": f"/v1/{_URLS[kind]}/search",
            "has_more": has_more,
            "next_page": str(start + limit) if has_more else None,
            "data": found[start : start + limit],
        }

    return search


def _tests(query: str, kind: str) -> tuple[list[Callable[[Document], bool]], bool]:
    """(a test for each clause, whether any of them is enough). AND and OR cannot be mixed, as at Stripe."""
    tests, words, at = [], set(), 0
    while True:
        clause = _CLAUSE.match(query, at)
        if clause is None:
            raise invalid("The search query is malformed.", param="query")
        tests.append(_test(clause, kind))
        at = clause.end()
        if at == len(query):
            break
        word = query[at:].split(None, 1)[0].upper()
        if word in ("AND", "OR"):
            at += len(word)
        words.add(word if word == "OR" else "AND")
    if len(words) > 1:
        raise invalid("You cannot combine AND and OR in one search query.", param="query")
    return tests, words == {"OR"}


def _test(clause: re.Match[str], kind: str) -> Callable[[Document], bool]:
    field, key, sign = clause["field"], clause["key"], clause["sign"]
    if field not in _FIELDS[kind] or (field == "metadata") != bool(key):
        raise invalid(f"Field `{field}` is an unsupported search field for resource `{kind}`.", param="query")
    quoted = clause["double"] if clause["double"] is not None else clause["single"]
    wanted = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else clause["bare"]
    if quoted is None and wanted == "null":
        wanted = ""
    if sign in (">", "<", ">=", "<=") and not wanted.lstrip("-").isdigit():
        raise invalid(f"`{sign}` compares numbers, not {wanted}.", param="query")

    def is_met(document: Document) -> bool:
        value: Any = document[field].get(key) if key else _value(document, field)
        return _compares(value, sign, wanted) != bool(clause["no"])

    return is_met


def _value(document: Document, field: str) -> Any:
    if field == "subscription" and document["object"] == "invoice":
        return ((document["parent"] or {}).get("subscription_details") or {}).get("subscription")
    return document[field]


def _compares(value: Any, sign: str, wanted: str) -> bool:
    text = "" if value is None else str(value).lower()
    if sign == ":":
        return text == wanted.lower()
    if sign == "~":
        return wanted.lower() in text
    if value is None:
        return False
    number, limit = int(value), int(wanted)
    return {">": number > limit, "<": number < limit, ">=": number >= limit, "<=": number <= limit}[sign]
