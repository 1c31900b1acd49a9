"""What the API does with invoices: make one by hand, finalise, pay, send, void, give up."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import declined, invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import cards, customers, invoice_items, invoices, renewals, taxes
from billing.sandbox.store import Document, listing


def create(account: Account, params: Params) -> Document:
    """A draft of the customer's waiting invoice items."""
    p.known(
        params, "customer", "description", "pending_invoice_items_behavior", "collection_method", "days_until_due",
        "auto_advance", "metadata", "currency", "footer", "default_tax_rates", "automatic_tax",
    )  # fmt: skip
    customer = customers.existing(account, p.required(params, "customer"))
    is_including = params.get("pending_invoice_items_behavior") == "include"
    items = invoice_items.waiting(account, customer["id"]) if is_including else []
    lines = [invoice_items.line_of(item) for item in items]
    is_automatic = taxes.wanted(params)
    if is_automatic:
        taxes.check_place(customer)
    invoice = invoices.draft(
        account,
        None,
        lines,
        reason="manual",
        customer_id=customer["id"],
        tax_rates=taxes.rates(account, params.get("default_tax_rates")),
        is_taxed=is_automatic,
    )
    method = params.get("collection_method") or "charge_automatically"
    if method == "send_invoice":
        days = p.amount(params, "days_until_due")
        invoice |= {"collection_method": method, "due_date": account.now() + days * 86_400}
    invoice |= {name: params[name] for name in ("description", "metadata", "footer") if name in params}
    for entry in invoice["lines"]["data"]:
        entry["invoice"] = invoice["id"]
    invoice = account.create(invoice, event="invoice.created")
    for item in items:
        account.update(item, invoice=invoice["id"])
    return invoice


def retrieve(account: Account, _params: Params, invoice_id: str) -> Document:
    return account.store.get("invoice", invoice_id)


def update(account: Account, params: Params, invoice_id: str) -> Document:
    p.known(params, "metadata", "description", "footer", "auto_advance", "default_payment_method")
    invoice = account.store.get("invoice", invoice_id)
    changes: dict[str, Any] = {name: params[name] for name in ("description", "footer") if name in params}
    changes["metadata"] = p.merged(invoice["metadata"], params.get("metadata"))
    return account.update(invoice, event="invoice.updated", **changes)


def delete(account: Account, _params: Params, invoice_id: str) -> Document:
    """Only a draft can go; its items wait for another invoice."""
    invoice = _draft(account, invoice_id)
    for item in account.store.all("invoiceitem", invoice=invoice_id):
        account.update(item, invoice=None)
    account.store.remove(invoice)
    account.events.emit("invoice.deleted", invoice)
    return {"id": invoice_id, "object": "invoice", "deleted": True}


def finalise(account: Account, params: Params, invoice_id: str) -> Document:
    """Number it; an invoice of nothing is paid at once."""
    p.known(params, "auto_advance")
    invoice = invoices.finalise(account, _draft(account, invoice_id))
    return invoices.pay(account, invoice, None) if invoice["amount_due"] == 0 else invoice


def send(account: Account, params: Params, invoice_id: str) -> Document:
    p.known(params)
    invoice = account.store.get("invoice", invoice_id)
    if invoice["status"] == "draft":
        invoice = invoices.finalise(account, invoice)
    account.events.emit("invoice.sent", invoice)
    return invoice


def void(account: Account, params: Params, invoice_id: str) -> Document:
    p.known(params)
    return invoices.void(account, account.store.get("invoice", invoice_id))


def give_up(account: Account, params: Params, invoice_id: str) -> Document:
    p.known(params)
    invoice = account.store.get("invoice", invoice_id)
    if invoice["status"] != "open":
        raise invalid(f"Invoice is {invoice['status']} and cannot be marked uncollectible.", code="invoice_not_open")
    transitions = {**invoice["status_transitions"], "marked_uncollectible_at": account.now()}
    changes: dict[str, Any] = {"status": "uncollectible", "status_transitions": transitions}
    return account.update(invoice, event="invoice.marked_uncollectible", next_payment_attempt=None, **changes)


def pay(account: Account, params: Params, invoice_id: str) -> Document:
    """Try to take the money at once, from another card if one is named. A decline is kept as a failed attempt."""
    p.known(params, "payment_method", "off_session", "paid_out_of_band")
    invoice = account.store.get("invoice", invoice_id)
    if invoice["status"] not in ("draft", "open"):
        raise invalid(f"Invoice is {invoice['status']} and cannot be paid.", code="invoice_not_open")
    method = cards.find(account, params["payment_method"]) if params.get("payment_method") else None
    renewals.collect(account, invoice, method)
    paid = account.store.get("invoice", invoice_id)
    if paid["status"] != "paid":
        raise declined(keeps=True)
    return paid


def list_lines(account: Account, params: Params, invoice_id: str) -> Document:
    p.known(params, "limit", "starting_after", "ending_before")
    lines = account.store.get("invoice", invoice_id)["lines"]["data"]
    return listing(lines, params, url=f"/v1/invoices/{invoice_id}/lines")


def listed(account: Account, params: Params) -> Document:
    p.known(
        params, "customer", "subscription", "status", "created", "limit", "starting_after", "ending_before",
        "collection_method",
    )  # fmt: skip

    def is_wanted(invoice: Document) -> bool:
        details = (invoice["parent"] or {}).get("subscription_details") or {}
        return params.get("subscription") in (None, details.get("subscription")) and params.get("status") in (
            None,
            invoice["status"],
        )

    return account.store.page("invoice", params, url="/v1/invoices", where=is_wanted, customer=params.get("customer"))


def _draft(account: Account, invoice_id: str) -> Document:
    invoice = account.store.get("invoice", invoice_id)
    if invoice["status"] != "draft":
        raise invalid(f"This invoice is {invoice['status']}, not a draft.", code="invoice_not_editable")
    return invoice
