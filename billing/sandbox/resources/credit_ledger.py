"""Credit that is granted ahead of usage, and how it pays for metered lines of invoices before tax."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id

GRANT, ENTRY = "billing.credit_grant", "billing.credit_balance_transaction"


def enter(account: Account, grant: Document, side: str, amount: int, kind: str, **details: Any) -> Document:
    """One entry of the ledger: `credit` or `debit` of a grant, and why."""
    currency = grant["amount"]["monetary"]["currency"]
    money = {"monetary": {"currency": currency, "value": amount}, "type": "monetary"}
    why = "credits_applied" if side == "debit" else "credits_application_invoice_voided"
    return account.store.insert(
        {
            "id": new_id("cbtxn"),
            "object": ENTRY,
            "created": account.now(),
            "credit": None,
            "credit_grant": grant["id"],
            "customer": grant["customer"],
            "debit": None,
            "effective_at": account.now(),
            "livemode": False,
            "test_clock": grant["test_clock"],
            "type": side,
            side: {"amount": money, "type": kind, why: details.get("applied")},
        }
    )


def left(account: Account, grant: Document) -> int:
    """What of a grant has not been used, voided or expired."""
    entries = account.store.all(ENTRY, lambda one: one["credit_grant"] == grant["id"], customer=grant["customer"])
    return sum(_value(one, "credit") - _value(one, "debit") for one in entries)


def _value(entry: Document, side: str) -> int:
    return int(entry[side]["amount"]["monetary"]["value"]) if entry[side] else 0


def usable(account: Account, customer: str, currency: str) -> list[Document]:
    """The grants that can pay now, in the order in which they do."""
    now = account.now()

    def is_usable(grant: Document) -> bool:
        is_over = grant["voided_at"] or (grant["expires_at"] or now + 1) <= now
        return not is_over and grant["effective_at"] <= now and grant["amount"]["monetary"]["currency"] == currency

    found = account.store.all(GRANT, is_usable, customer=customer)
    return sorted(found, key=lambda one: (one["priority"], one["expires_at"] or float("inf"), one["created"]))


def applied(account: Account, invoice: Document) -> Document:
    """The invoice with what credit pays of its metered lines. Use it once, when the invoice is opened."""
    grants = [(one, left(account, one)) for one in usable(account, invoice["customer"], invoice["currency"])]
    lines, totals = [], []
    for line in invoice["lines"]["data"]:
        rest = line["amount"] - sum(one["amount"] for one in line.get("discount_amounts") or [])
        taken = []
        for number, (grant, available) in enumerate(grants):
            amount = min(rest, available) if _is_metered(account, line) else 0
            if amount <= 0:
                continue
            source = {"invoice": invoice["id"], "invoice_line_item": line["id"]}
            entry = enter(account, grant, "debit", amount, "credits_applied", applied=source)
            taken.append({"amount": amount, "credit_balance_transaction": entry["id"], "type": ENTRY.split(".")[1]})
            grants[number] = (grant, available - amount)
            rest -= amount
        lines.append({**line, "pretax_credit_amounts": [*(line.get("pretax_credit_amounts") or []), *taken]})
        totals += taken
    if not totals:
        return invoice
    return {
        **invoice,
        "lines": {**invoice["lines"], "data": lines},
        "total_pretax_credit_amounts": [*invoice["total_pretax_credit_amounts"], *totals],
    }


def _is_metered(account: Account, line: Document) -> bool:
    price = account.store.find("price", ((line["pricing"] or {}).get("price_details") or {}).get("price"))
    return bool(price and (price["recurring"] or {}).get("usage_type") == "metered")


def summary(account: Account, params: Params) -> Document:
    p.known(params, "customer", "filter")
    customer = p.required(params, "customer")
    currencies = {one["amount"]["monetary"]["currency"] for one in account.store.all(GRANT, customer=str(customer))}
    balances = []
    for currency in sorted(currencies):
        value = sum(left(account, one) for one in usable(account, customer, currency))
        money = {"monetary": {"currency": currency, "value": value}, "type": "monetary"}
        balances.append({"available_balance": money, "ledger_balance": money})
    return {
        "object": "billing.credit_balance_summary",
        "balances": balances,
        "customer": customer,
        "customer_account": None,
        "livemode": False,
    }


def list_entries(account: Account, params: Params) -> Document:
    p.known(params, "customer", "credit_grant", "limit", "starting_after", "ending_before")
    page = account.store.page(
        ENTRY,
        params,
        url="/v1/billing/credit_balance_transactions",
        where=lambda one: params.get("credit_grant") in (None, one["credit_grant"]),
        customer=p.required(params, "customer"),
    )
    return {**page, "data": [_told(one) for one in page["data"]]}


def retrieve_entry(account: Account, _params: Params, entry_id: str) -> Document:
    return _told(account.store.get(ENTRY, entry_id))


def _told(entry: Document) -> Document:
    """The entry without whose it is, which Stripe does not say there."""
    return {name: value for name, value in entry.items() if name != "customer"}


def expire(account: Account, params: Params, grant_id: str) -> Document:
    p.known(params)
    return _end(account, grant_id, "credits_expired", "expires_at")


def void(account: Account, params: Params, grant_id: str) -> Document:
    p.known(params)
    return _end(account, grant_id, "credits_voided", "voided_at")


def _end(account: Account, grant_id: str, why: str, field: str) -> Document:
    grant = account.store.get(GRANT, grant_id)
    if grant["voided_at"]:
        raise invalid("This credit grant has been voided.")
    if rest := left(account, grant):
        enter(account, grant, "debit", rest, why)
    return account.update(grant, event="billing.credit_grant.updated", **{field: account.now()})


def update(account: Account, params: Params, grant_id: str) -> Document:
    p.known(params, "metadata", "expires_at")
    grant = account.store.get(GRANT, grant_id)
    changes: Document = {"metadata": p.merged(grant["metadata"], params.get("metadata"))}
    if "expires_at" in params:
        changes["expires_at"] = p.amount(params, "expires_at") if params["expires_at"] else None
    return account.update(grant, event="billing.credit_grant.updated", **changes)
