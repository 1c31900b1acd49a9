"""Credit notes: an invoice was too high, and what becomes of the difference."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import refunds
from billing.sandbox.store import Document, new_id


def create(account: Account, params: Params) -> Document:
    """Lower an open invoice, or give back part of a paid one: as credit or as money."""
    p.known(
        params, "invoice", "lines", "amount", "credit_amount", "refund_amount", "out_of_band_amount", "memo", "reason",
        "metadata",
    )  # fmt: skip
    invoice = account.store.get("invoice", p.required(params, "invoice"))
    lines = [_line(invoice, given) for given in params.get("lines") or []]
    amount = sum(line["amount"] for line in lines) or p.amount(params, "amount")
    is_open = invoice["status"] == "open"
    if invoice["status"] not in ("open", "paid"):
        raise invalid(f"You cannot credit an invoice that is {invoice['status']}.", param="invoice")
    credited = invoice["pre_payment_credit_notes_amount"] + invoice["post_payment_credit_notes_amount"]
    if amount > (invoice["amount_remaining"] if is_open else invoice["amount_paid"] - credited):
        raise invalid("The credit note is more than is left of the invoice.", param="amount")
    note_id, number = new_id("cn"), f"{invoice['number']}-CN-{_count(account, invoice) + 1:02d}"
    note: Document = {
        "id": note_id,
        "object": "credit_note",
        "amount": amount,
        "created": account.now(),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "invoice": invoice["id"],
        "lines": {"object": "list", "data": lines, "has_more": False, "url": f"/v1/credit_notes/{note_id}/lines"},
        "memo": params.get("memo"),
        "metadata": params.get("metadata") or {},
        "number": number,
        "pdf": invoice["invoice_pdf"],
        "post_payment_amount": 0 if is_open else amount,
        "pre_payment_amount": amount if is_open else 0,
        "reason": params.get("reason"),
        "subtotal": amount,
        "subtotal_excluding_tax": amount,
        "total": amount,
        "total_excluding_tax": amount,
        "type": "pre_payment" if is_open else "post_payment",
    }
    note |= {} if is_open else _given_back(account, invoice, note, params)
    note = account.create(note, event="credit_note.created")
    _change_invoice(account, invoice, note, amount)
    return note


def _line(invoice: Document, given: Params) -> Document:
    quantity = p.integer(given.get("quantity"), param="quantity", default=1)
    line: Document = {"id": new_id("cnli"), "object": "credit_note_line_item", "type": p.required(given, "type")}
    if line["type"] == "custom_line_item":
        unit = p.amount(given, "unit_amount")
        return {
            **line, "amount": unit * quantity, "description": given.get("description"), "quantity": quantity,
            "unit_amount": unit, "unit_amount_decimal": str(unit),
        }  # fmt: skip
    source = next((one for one in invoice["lines"]["data"] if one["id"] == given.get("invoice_line_item")), None)
    if source is None:
        raise invalid("No such line of the invoice.", param="lines[0][invoice_line_item]", code="resource_missing")
    amount = p.integer(given.get("amount"), param="amount", default=source["amount"])
    text = source["description"]
    return {**line, "amount": amount, "description": text, "quantity": quantity, "invoice_line_item": source["id"]}


def _count(account: Account, invoice: Document) -> int:
    return len(account.store.all("credit_note", invoice=invoice["id"]))


def _given_back(account: Account, invoice: Document, note: Document, params: Params) -> Document:
    """Refund it when asked, else it is credit for the next invoice."""
    amounts = {
        name: p.integer(params.get(name), param=name, default=0)
        for name in ("credit_amount", "refund_amount", "out_of_band_amount")
    }
    if sum(amounts.values()) == 0:
        amounts["credit_amount"] = note["amount"]
    if sum(amounts.values()) != note["amount"]:
        raise invalid("The credit, refund and out of band amounts must add up to the credit note's amount.")
    changes: dict[str, Any] = {"out_of_band_amount": amounts["out_of_band_amount"] or None}
    if amounts["refund_amount"]:
        payments = account.store.all("invoice_payment", invoice=invoice["id"])
        intent = next(one["payment"]["payment_intent"] for one in payments if one["status"] == "paid")
        refund = refunds.create(account, {"payment_intent": intent, "amount": amounts["refund_amount"]})
        changes["refunds"] = [
            {
                "amount_refunded": refund["amount"],
                "payment_record_refund": None,
                "refund": refund["id"],
                "type": "refund",
            }
        ]
    if amounts["credit_amount"]:
        changes["customer_balance_transaction"] = add_credit(account, note, -amounts["credit_amount"])["id"]
    return changes


def add_credit(account: Account, note: Document, amount: int) -> Document:
    """Move the customer's balance by `amount`; below zero is credit."""
    customer = account.store.get("customer", note["customer"])
    customer = account.update(customer, event="customer.updated", balance=customer["balance"] + amount)
    return account.create(
        {
            "id": new_id("cbtxn"),
            "object": "customer_balance_transaction",
            "amount": amount,
            "created": account.now(),
            "credit_note": note["id"],
            "currency": note["currency"],
            "customer": customer["id"],
            "ending_balance": customer["balance"],
            "invoice": note["invoice"],
            "type": "credit_note",
        }
    )


def _change_invoice(account: Account, invoice: Document, note: Document, amount: int) -> None:
    """`amount` more, or less when the note is voided, is off the invoice."""
    side = f"{note['type']}_credit_notes_amount"
    changes: dict[str, Any] = {side: invoice[side] + amount}
    if note["type"] == "pre_payment":
        left = invoice["amount_remaining"] - amount
        changes |= {"amount_remaining": left, "amount_due": invoice["amount_due"] - amount}
        if left == 0:
            transitions = {**invoice["status_transitions"], "paid_at": account.now()}
            changes |= {"status": "paid", "status_transitions": transitions, "next_payment_attempt": None}
    account.update(invoice, event="invoice.updated", **changes)


def retrieve(account: Account, _params: Params, note_id: str) -> Document:
    return account.store.get("credit_note", note_id)


def update(account: Account, params: Params, note_id: str) -> Document:
    p.known(params, "memo", "metadata")
    note = account.store.get("credit_note", note_id)
    metadata = p.merged(note["metadata"], params.get("metadata"))
    return account.update(note, event="credit_note.updated", metadata=metadata, memo=params.get("memo", note["memo"]))


def void(account: Account, params: Params, note_id: str) -> Document:
    """Take it back, while nothing was given back for it and its invoice is open."""
    p.known(params)
    note = account.store.get("credit_note", note_id)
    invoice = account.store.get("invoice", note["invoice"])
    if note["status"] == "void" or note["type"] != "pre_payment" or invoice["status"] != "open":
        raise invalid("This credit note cannot be voided.")
    _change_invoice(account, invoice, note, -note["amount"])
    return account.update(note, event="credit_note.voided", status="void", voided_at=account.now())


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "invoice", "created", "limit", "starting_after", "ending_before")

    customer, invoice = params.get("customer"), params.get("invoice")
    return account.store.page("credit_note", params, url="/v1/credit_notes", customer=customer, invoice=invoice)
