"""Invoices: of subscriptions or of single items, with discounts and credit, paid by cards."""

from __future__ import annotations

from typing import Any

from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.resources import credit_ledger, discounts, payments, tax_ids, taxes
from billing.sandbox.shapes import complete
from billing.sandbox.store import Document, new_id


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
        "discountable": not is_proration,
        "parent": {"type": "subscription_item_details", "subscription_item_details": {"proration": is_proration}},
        "period": {"start": start, "end": end},
        "pricing": {
            "type": "price_details",
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity,
        "subtotal": amount,
    }


def draft(
    account: Account,
    subscription: Document | None,
    lines: list[Document],
    *,
    reason: str,
    customer_id: str = "",
    tax_rates: list[Document] | None = None,
    is_taxed: bool = False,
) -> Document:
    """An invoice of these lines that nobody has paid or stored yet: of a subscription, or of a customer alone."""
    customer = account.store.get("customer", subscription["customer"] if subscription else customer_id)
    found = discounts.active(account, subscription, customer)
    lines, totals = discounts.applied(account, lines, found)
    by_hand = subscription["default_tax_rates"] if subscription else tax_rates or []
    is_automatic = subscription["automatic_tax"]["enabled"] if subscription else is_taxed
    lines, total_taxes = taxes.applied(account, lines, customer, by_hand=by_hand, is_automatic=is_automatic)
    invoice_id = new_id("in")
    if subscription:
        lines = [_placed(entry, invoice_id, subscription) for entry in lines]
    now = account.now()
    parent = {
        "quote_details": None,
        "subscription_details": {"subscription": subscription["id"], "metadata": subscription["metadata"]},
        "type": "subscription_details",
    } if subscription else None  # fmt: skip
    invoice = {
        "id": invoice_id,
        "object": "invoice",
        "billing_reason": reason,
        "created": now,
        "currency": subscription["currency"] if subscription else _currency(lines, customer),
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_tax_ids": tax_ids.of_customer(account, customer["id"]),
        "discounts": [one["id"] for one in found],
        "hosted_invoice_url": f"{account.base_url}/invoice/{invoice_id}",
        "invoice_pdf": f"{account.base_url}/invoice/{invoice_id}/pdf",
        "lines": {"object": "list", "data": lines, "has_more": False, "url": f"/v1/invoices/{invoice_id}/lines"},
        "parent": parent,
        "period_end": now,
        "period_start": now,
        "test_clock": customer["test_clock"],
        "total_discount_amounts": totals,
        "total_taxes": total_taxes,
        "default_tax_rates": by_hand,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": is_automatic,
            "liability": {"type": "self"} if is_automatic else None,
            "provider": "stripe" if is_automatic else None,
            "status": "complete" if is_automatic else None,
        },
    }
    return complete({**invoice, **amounts(invoice, customer)})


def amounts(invoice: Document, customer: Document) -> Document:
    """What its lines come to. Credit from before (a negative balance) pays first."""
    subtotal = sum(entry["amount"] for entry in invoice["lines"]["data"])
    untaxed = subtotal - sum(one["amount"] for one in invoice["total_discount_amounts"])
    untaxed -= sum(one["amount"] for one in invoice.get("total_pretax_credit_amounts") or [])
    on_top, of_all = taxes.exclusive(invoice["total_taxes"]), taxes.all_of(invoice["total_taxes"])
    total = untaxed + on_top
    credit = min(0, customer["balance"])
    due = max(0, total + credit)
    return {
        "amount_due": due,
        "amount_remaining": due,
        "starting_balance": credit,
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - (of_all - on_top),
        "total": total,
        "total_excluding_tax": total - of_all,
    }


def _currency(lines: list[Document], customer: Document) -> str:
    return str(lines[0]["currency"] if lines else customer["currency"] or "usd")


def _placed(entry: Document, invoice_id: str, subscription: Document) -> Document:
    """The line as part of this invoice."""
    details = {
        "invoice_item": None,
        "proration": entry["parent"]["subscription_item_details"]["proration"],
        "proration_details": {"credited_items": None},
        "subscription": subscription["id"],
        "subscription_item": subscription["items"]["data"][0]["id"],
    }
    parent = {"type": "subscription_item_details", "subscription_item_details": details, "invoice_item_details": None}
    return {**entry, "invoice": invoice_id, "subscription": subscription["id"], "parent": parent}


def finalise(account: Account, invoice: Document) -> Document:
    """Give it its number, take the credit it uses, and open it for payment."""
    customer = account.store.get("customer", invoice["customer"])
    with_credit = credit_ledger.applied(account, invoice)
    if with_credit is not invoice:
        invoice = _taxed_again(account, with_credit, customer)
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    credit = min(0, customer["balance"])
    due, left = max(0, invoice["total"] + credit), min(0, invoice["total"] + credit)
    account.store.save({**customer, "next_invoice_sequence": customer["next_invoice_sequence"] + 1, "balance": left})
    opened = {
        **invoice,
        "status": "open",
        "number": number,
        "effective_at": account.now(),
        "customer_tax_ids": tax_ids.of_customer(account, customer["id"]),
        "amount_due": due,
        "amount_remaining": due,
        "starting_balance": credit,
        "ending_balance": left,
        "automatically_finalizes_at": None,
        "status_transitions": {**invoice["status_transitions"], "finalized_at": account.now()},
    }
    if account.store.find("invoice", invoice["id"]):
        account.store.save(opened)
    else:
        account.create(opened, event="invoice.created")
    account.events.emit("invoice.finalized", opened)
    return opened


def _taxed_again(account: Account, invoice: Document, customer: Document) -> Document:
    """With taxes on what credit leaves, and what it comes to then."""
    rates, is_automatic = invoice["default_tax_rates"], invoice["automatic_tax"]["enabled"]
    lines, totals = taxes.applied(account, invoice["lines"]["data"], customer, by_hand=rates, is_automatic=is_automatic)
    invoice = {**invoice, "lines": {**invoice["lines"], "data": lines}, "total_taxes": totals}
    return {**invoice, **amounts(invoice, customer)}


def keep_pending(account: Account, subscription: Document, lines: list[Document]) -> None:
    """Prorations that the next invoice will carry."""
    known = account.store.find("pending_lines", f"pending_{subscription['id']}")
    document = {"id": f"pending_{subscription['id']}", "object": "pending_lines"}
    if known:
        account.store.save({**document, "lines": [*known["lines"], *lines]})
    else:
        account.store.insert({**document, "lines": lines})


def take_pending(account: Account, subscription: Document) -> list[Document]:
    """The kept prorations, for this invoice."""
    known = account.store.find("pending_lines", f"pending_{subscription['id']}")
    if not known:
        return []
    account.store.save({**known, "lines": []})
    lines: list[Document] = known["lines"]
    return lines


def subscription_of(account: Account, invoice: Document) -> Document | None:
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return account.store.find("subscription", details.get("subscription"))


def pay(account: Account, invoice: Document, method: Document | None, *, is_authenticated: bool = False) -> Document:
    """Try to take the money once; returns the invoice as it is then."""
    is_paid = invoice["amount_due"] == 0 or payments.charge(
        account, invoice=invoice, method=method, is_authenticated=is_authenticated
    )
    attempts = invoice["attempt_count"] + 1
    if not is_paid:
        changes: dict[str, Any] = {"attempt_count": attempts, "attempted": True, "next_payment_attempt": None}
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


def void(account: Account, invoice: Document) -> Document:
    """Nobody has to pay it any more."""
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(f"You can only void an open invoice; this one is {invoice['status']}.", code="invoice_not_open")
    transitions = {**invoice["status_transitions"], "voided_at": account.now()}
    changes: dict[str, Any] = {"status": "void", "status_transitions": transitions, "next_payment_attempt": None}
    return account.update(invoice, event="invoice.voided", auto_advance=False, **changes)
