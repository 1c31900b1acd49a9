"""Invoice items: single amounts that wait for the customer's next invoice."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import customers
from billing.sandbox.store import Document, new_id


def create(account: Account, params: Params) -> Document:
    p.known(params, "customer", "amount", "currency", "description", "metadata", "discountable", "invoice", "quantity")
    customer = customers.existing(account, p.required(params, "customer"))
    amount, now = p.amount(params, "amount"), account.now()
    item = {
        "id": new_id("ii"),
        "object": "invoiceitem",
        "amount": amount,
        "currency": p.required(params, "currency").lower(),
        "customer": customer["id"],
        "date": now,
        "description": params.get("description"),
        "discountable": p.boolean(params.get("discountable"), default=True),
        "metadata": params.get("metadata") or {},
        "net_amount": amount,
        "period": {"end": now, "start": now},
        "pricing": {"price_details": None, "type": "price_details", "unit_amount_decimal": str(amount)},
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": customer["test_clock"],
    }
    return account.create(item, event="invoiceitem.created")


def waiting(account: Account, customer_id: str) -> list[Document]:
    """What no invoice has taken yet, oldest first."""
    found = account.store.all("invoiceitem", lambda one: one["invoice"] is None, customer=customer_id)
    return found[::-1]


def line_of(item: Document) -> Document:
    """The line of an invoice that says this item."""
    details = {
        "invoice_item": item["id"], "proration": False, "proration_details": {"credited_items": None},
        "subscription": None,
    }  # fmt: skip
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": item["amount"],
        "currency": item["currency"],
        "description": item["description"],
        "discountable": item["discountable"],
        "metadata": item["metadata"],
        "parent": {
            "type": "invoice_item_details", "invoice_item_details": details, "subscription_item_details": None,
        },
        "period": item["period"],
        "pricing": item["pricing"],
        "quantity": 1,
        "subtotal": item["amount"],
    }  # fmt: skip


def retrieve(account: Account, _params: Params, item_id: str) -> Document:
    return account.store.get("invoiceitem", item_id)


def delete(account: Account, _params: Params, item_id: str) -> Document:
    item = account.store.get("invoiceitem", item_id)
    if item["invoice"]:
        raise invalid("This invoice item belongs to an invoice and cannot be deleted.")
    account.store.remove(item)
    account.events.emit("invoiceitem.deleted", item)
    return {"id": item_id, "object": "invoiceitem", "deleted": True}


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "invoice", "pending", "limit", "starting_after", "ending_before", "created")

    customer, invoice = params.get("customer"), params.get("invoice")
    return account.store.page("invoiceitem", params, url="/v1/invoiceitems", customer=customer, invoice=invoice)
