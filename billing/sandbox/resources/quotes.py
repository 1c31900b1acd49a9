"""Quotes: an offer to a customer that becomes a subscription when it is accepted."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import customers, subscriptions
from billing.sandbox.store import Document, new_id

OPEN_SECONDS = 30 * 86_400
_NO_TAX_OR_DISCOUNT = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}


def create(account: Account, params: Params) -> Document:
    """A draft of one recurring price."""
    p.known(params, "customer", "line_items", "description", "metadata", "header", "footer", "expires_at")
    customer = customers.existing(account, p.required(params, "customer"))
    entry = p.required(params, "line_items")[0]
    price = account.store.get("price", p.required(entry, "price"))
    quantity = p.integer(entry.get("quantity"), param="line_items[0][quantity]", default=1)
    amount = price["unit_amount"] * quantity
    quote_id = new_id("qt")
    names = ("description", "metadata", "header", "footer")
    recurring = {
        "amount_subtotal": amount, "amount_total": amount, "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"], "total_details": _NO_TAX_OR_DISCOUNT,
    }  # fmt: skip
    upfront = {"amount_subtotal": amount, "amount_total": amount, "total_details": _NO_TAX_OR_DISCOUNT}
    quote = {
        "id": quote_id,
        "object": "quote",
        "amount_subtotal": amount,
        "amount_total": amount,
        "computed": {"recurring": recurring, "upfront": upfront},
        "created": account.now(),
        "currency": price["currency"],
        "customer": customer["id"],
        "expires_at": account.now() + OPEN_SECONDS,
        **{name: params[name] for name in names if name in params},
    }
    ask = {"id": f"ask_{quote_id}", "object": "quote_request", "price": price["id"], "quantity": quantity}
    account.store.insert(ask)
    return account.create(quote, event="quote.created")


def retrieve(account: Account, _params: Params, quote_id: str) -> Document:
    return account.store.get("quote", quote_id)


def finalise(account: Account, params: Params, quote_id: str) -> Document:
    p.known(params, "expires_at")
    quote = _in(account, quote_id, "draft")
    number = f"QT-{quote_id[-8:].upper()}-1"
    return _moved(account, quote, "open", event="quote.finalized", moment="finalized_at", number=number)


def accept(account: Account, params: Params, quote_id: str) -> Document:
    """Subscribe the customer to what was offered, paid with the card they have."""
    p.known(params)
    quote = _in(account, quote_id, "open")
    ask = account.store.get("quote_request", f"ask_{quote_id}")
    given: Params = {"customer": quote["customer"], "items": [{"price": ask["price"], "quantity": ask["quantity"]}]}
    subscription = subscriptions.create(account, given)
    made = {"subscription": subscription["id"], "invoice": subscription["latest_invoice"]}
    return _moved(account, quote, "accepted", event="quote.accepted", moment="accepted_at", **made)


def cancel(account: Account, params: Params, quote_id: str) -> Document:
    p.known(params)
    return _moved(
        account, _in(account, quote_id, "draft", "open"), "canceled", event="quote.canceled", moment="canceled_at"
    )


def _moved(account: Account, quote: Document, status: str, *, event: str, moment: str, **more: Any) -> Document:
    transitions = {**quote["status_transitions"], moment: account.now()}
    return account.update(quote, event=event, status=status, status_transitions=transitions, **more)


def _in(account: Account, quote_id: str, *statuses: str) -> Document:
    quote = account.store.get("quote", quote_id)
    if quote["status"] not in statuses:
        raise invalid(f"This quote is {quote['status']}; it has to be {' or '.join(statuses)}.")
    return quote
