"""Invoices: made by subscriptions, paid by cards, shown on a hosted page."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.params import Params
from billing.sandbox.resources import payments
from billing.sandbox.store import Document, in_period, new_id


def line(
    *, text: str, amount: int, quantity: int, start: int, end: int, price: Document, is_proration: bool
) -> Document:
    """One line, amounts in minor units."""
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": text,
        "discount_amounts": [],
        "discountable": not is_proration,
        "discounts": [],
        "livemode": False,
        "metadata": {},
        "parent": {"type": "subscription_item_details", "subscription_item_details": {"proration": is_proration}},
        "period": {"start": start, "end": end},
        "pricing": {
            "type": "price_details",
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity,
        "taxes": [],
    }


def draft(account: Account, subscription: Document, lines: list[Document], *, reason: str) -> Document:
    """An invoice of these lines that nobody has paid or stored yet."""
    total = sum(entry["amount"] for entry in lines)
    now = account.now()
    invoice_id = new_id("in")
    return {
        "id": invoice_id,
        "object": "invoice",
        "amount_due": max(0, total),
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": max(0, total),
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": now,
        "currency": subscription["currency"],
        "customer": subscription["customer"],
        "customer_email": None,
        "description": None,
        "due_date": None,
        "hosted_invoice_url": f"{account.base_url}/invoice/{invoice_id}",
        "invoice_pdf": f"{account.base_url}/invoice/{invoice_id}/pdf",
        "lines": {"object": "list", "data": lines, "has_more": False, "url": f"/v1/invoices/{invoice_id}/lines"},
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "parent": {
            "type": "subscription_details",
            "subscription_details": {"subscription": subscription["id"], "metadata": subscription["metadata"]},
        },
        "period_end": now,
        "period_start": now,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": total,
        "total": total,
    }


def finalise(account: Account, invoice: Document) -> Document:
    """Give it its number and open it for payment."""
    customer = account.store.get("customer", invoice["customer"])
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    account.store.save({**customer, "next_invoice_sequence": customer["next_invoice_sequence"] + 1})
    transitions = {**invoice["status_transitions"], "finalized_at": account.now()}
    invoice = {**invoice, "status": "open", "number": number, "status_transitions": transitions}
    account.create(invoice, event="invoice.created")
    account.events.emit("invoice.finalized", invoice)
    return invoice


def pay(account: Account, invoice: Document, method: Document | None, *, is_authenticated: bool = False) -> Document:
    """Try to take the money once; returns the invoice as it is then."""
    is_paid = invoice["amount_due"] == 0 or payments.charge(
        account, invoice=invoice, method=method, is_authenticated=is_authenticated
    )
    attempts = invoice["attempt_count"] + 1
    if not is_paid:
        next_attempt = account.now() + 3 * 86_400
        changes: dict[str, Any] = {"attempt_count": attempts, "attempted": True, "next_payment_attempt": next_attempt}
        return account.update(invoice, event="invoice.payment_failed", **changes)
    transitions = {**invoice["status_transitions"], "paid_at": account.now()}
    paid = account.update(
        invoice,
        event="invoice.paid",
        attempt_count=attempts,
        attempted=True,
        amount_paid=invoice["amount_due"],
        amount_remaining=0,
        next_payment_attempt=None,
        status="paid",
        status_transitions=transitions,
    )
    account.events.emit("invoice.payment_succeeded", paid)
    return paid


def retrieve(account: Account, _params: Params, invoice_id: str) -> Document:
    return account.store.get("invoice", invoice_id)


def listed(account: Account, params: Params) -> Document:
    p.known(
        params, "customer", "subscription", "status", "created", "limit", "starting_after", "ending_before",
        "collection_method",
    )  # fmt: skip

    def is_wanted(invoice: Document) -> bool:
        return (
            params.get("customer") in (None, invoice["customer"])
            and params.get("subscription") in (None, invoice["parent"]["subscription_details"]["subscription"])
            and params.get("status") in (None, invoice["status"])
            and in_period(invoice["created"], params.get("created"))
        )

    return account.store.page(account.store.all("invoice", is_wanted), params, url="/v1/invoices")
