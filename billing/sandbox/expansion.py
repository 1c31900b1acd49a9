"""`expand`: ids that become the objects they name, and lists that an object has only when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.resources import catalogue
from billing.sandbox.store import Document, listing

DEEPEST = 4
# What an id becomes, by the name of its field.
_KINDS = {
    "charge": "charge", "coupon": "coupon", "credit_grant": "billing.credit_grant", "customer": "customer",
    "default_payment_method": "payment_method", "default_price": "price", "default_tax_rates": "tax_rate",
    "discount": "discount", "discounts": "discount", "feature": "entitlements.feature", "invoice": "invoice",
    "invoice_item": "invoiceitem", "latest_charge": "charge", "latest_invoice": "invoice", "payment_intent":
    "payment_intent", "payment_method": "payment_method", "pending_setup_intent": "setup_intent", "price": "price",
    "product": "product", "promotion_code": "promotion_code", "refund": "refund", "schedule": "subscription_schedule",
    "setup_intent": "setup_intent", "subscription": "subscription", "tax_rate": "tax_rate", "test_clock":
    "test_helpers.test_clock",
}  # fmt: skip


def _listed(kind: str, field: str, url: str) -> Callable[[Account, Document], Document]:
    """The objects of a kind that name this one in a field."""

    def found(account: Account, document: Document) -> Document:
        return listing(account.store.all(kind, **{field: document["id"]}), {}, url=url.format(document["id"]))

    return found


# What is there only when it is asked for, by the kind of the object and the name of the field.
_ON_REQUEST: dict[tuple[str, str], Callable[[Account, Document], Any]] = {
    ("charge", "refunds"): lambda account, made: listing(
        account.store.all("refund", lambda one: one["charge"] == made["id"], payment_intent=made["payment_intent"]),
        {},
        url=f"/v1/charges/{made['id']}/refunds",
    ),
    ("customer", "subscriptions"): _listed("subscription", "customer", "/v1/customers/{}/subscriptions"),
    ("customer", "tax_ids"): _listed("tax_id", "customer", "/v1/customers/{}/tax_ids"),
    ("invoice", "payments"): _listed("invoice_payment", "invoice", "/v1/invoice_payments?invoice={}"),
    ("price", "currency_options"): catalogue.currency_options,
}


def expanded(account: Account, answer: Document, paths: Any) -> Document:
    """The answer with what `expand` names. Raises Stripe's error for what cannot be expanded."""
    for path in paths if isinstance(paths, list) else []:
        steps = str(path).split(".")
        if len(steps) > DEEPEST + (answer.get("object") == "list"):
            raise invalid(f"You cannot expand more than {DEEPEST} levels of a property.", param="expand")
        if not _expand(account, answer, steps):
            raise invalid(f"This property cannot be expanded ({path}).", param="expand")
    return answer


def _expand(account: Account, node: Any, path: list[str]) -> bool:
    """Whether there is such a property; what is empty is as good as expanded."""
    if isinstance(node, list):
        results = [_expand(account, entry, path) for entry in node]
        return all(results)
    if node is None or isinstance(node, str):
        return True
    name, rest = path[0], path[1:]
    kind = (str(node.get("object")), name)
    if kind in _ON_REQUEST and name not in node:
        node[name] = _ON_REQUEST[kind](account, node)
    elif name in _KINDS and name in node:
        node[name] = _fetched(account, _KINDS[name], node[name])
    elif not isinstance(node.get(name, ""), dict | list | None) or name not in node:
        return "deleted" in node
    return _expand(account, node[name], rest) if rest else True


def _fetched(account: Account, kind: str, value: Any) -> Any:
    """The object of an id, or the objects of a list of ids; what is expanded already stays."""
    if isinstance(value, list):
        return [_fetched(account, kind, entry) for entry in value]
    return (account.store.find(kind, value) or value) if isinstance(value, str) else value
