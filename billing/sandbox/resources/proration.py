"""What a change in the middle of a period costs, to the second and rounded to the cent."""

from __future__ import annotations

from typing import Any

from billing.sandbox.account import Account
from billing.sandbox.currencies import money
from billing.sandbox.resources import discounts, invoices
from billing.sandbox.resources.periods import period_end
from billing.sandbox.store import Document


def proration(
    account: Account, subscription: Document, *, price: Document, quantity: int, at: int, begins_period: bool
) -> list[Document]:
    """The rest of the period at the new price, or a whole new one, less what is left of the old one; both net of
    discounts."""
    before = subscription["items"]["data"][0]
    start, end = before["current_period_start"], before["current_period_end"]
    left, whole = max(0, end - at), max(1, end - start)
    is_trial = subscription["status"] == "trialing"
    paid = discounts.net(
        account, before["price"]["unit_amount"] * before["quantity"], discounts.billed_with(account, before["id"])
    )
    common = {"start": at, "end": end, "is_proration": True}
    credit = invoices.line(
        text=f"Unused time on {description(account, before['price'], before['quantity'])}",
        amount=0 if is_trial else -share(paid, left, whole),
        quantity=before["quantity"],
        price=before["price"],
        **common,
    )
    new = price["unit_amount"] * quantity
    if begins_period:
        fresh = invoices.line(
            text=description(account, price, quantity),
            amount=new,
            quantity=quantity,
            start=at,
            end=period_end(at, price["recurring"]),
            price=price,
            is_proration=False,
        )
        return [credit, fresh]
    found = discounts.active(account, subscription, account.store.get("customer", subscription["customer"]))
    cost = discounts.net(account, new, [one["source"]["coupon"] for one in found])
    debit = invoices.line(
        text=f"Remaining time on {description(account, price, quantity)}",
        amount=0 if is_trial else share(cost, left, whole),
        quantity=quantity,
        price=price,
        **common,
    )
    return [credit, debit]


def begins_period(subscription: Document, price: Document, trial_end: Any) -> bool:
    """Whether the change begins a new period at once. A trial goes on as it is, unless `trial_end` says `now`."""
    if subscription["status"] == "trialing":
        return bool(trial_end == "now")
    return bool(price["recurring"] != subscription["items"]["data"][0]["price"]["recurring"])


def share(amount: int, part: int, whole: int) -> int:
    """`amount * part / whole`, rounded half up, in whole minor units."""
    return (2 * amount * part + whole) // (2 * whole)


def description(account: Account, price: Document, quantity: int) -> str:
    name = account.store.get("product", price["product"])["name"]
    amount, per = money(price["unit_amount"], price["currency"]), price["recurring"]["interval"]
    return f"{quantity} × {name} (at {amount} / {per})"
