"""Discounts: coupons at work on a customer or a subscription, and what they take off an invoice, to the cent.

A percentage is rounded half up for each line. A fixed amount is used up line by line and never goes below zero.
Lines for a part of a period carry amounts that are discounted already (Stripe's `proration_discounts: included`):
what comes back is what was paid, what is added costs what it will cost.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.params import Params
from billing.sandbox.resources import coupons
from billing.sandbox.resources.periods import months_later
from billing.sandbox.store import Document, new_id


def attach(
    account: Account, given: Params, *, customer: str, currency: str, amount: int, subscription: str | None = None
) -> Document:
    """Redeem `{"coupon": …}` or `{"promotion_code": …}` for a subscription, or for all of a customer's invoices."""
    promotion = None
    if given.get("promotion_code"):
        promotion = account.store.get("promotion_code", given["promotion_code"])
        coupons.check_code(account, promotion, customer=customer, currency=currency, amount=amount)
    coupon = account.store.get("coupon", promotion["promotion"]["coupon"] if promotion else p.required(given, "coupon"))
    coupons.check(account, coupon, currency=currency)
    now = account.now()
    months = coupon["duration_in_months"]
    discount = {
        "id": new_id("di"),
        "object": "discount",
        "customer": customer,
        "end": months_later(now, months) if coupon["duration"] == "repeating" else None,
        "promotion_code": promotion["id"] if promotion else None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": now,
        "subscription": subscription,
    }
    coupons.count_redemption(account, "coupon", coupon["id"])
    if promotion:
        coupons.count_redemption(account, "promotion_code", promotion["id"])
    return account.create(discount, event="customer.discount.created")


def attach_all(account: Account, given: Any, *, subscription: Document, amount: int) -> list[str]:
    """The ids of the discounts that a subscription gets from `discounts[]`; each must be a coupon or a code."""
    if not isinstance(given, list):
        return []
    common = {"customer": subscription["customer"], "currency": subscription["currency"], "amount": amount}
    return [attach(account, one, **common, subscription=subscription["id"])["id"] for one in given]


def end(account: Account, discount_id: str) -> None:
    discount = account.update(account.store.get("discount", discount_id), end=account.now())
    account.events.emit("customer.discount.deleted", discount)


def active(account: Account, subscription: Document | None, customer: Document) -> list[Document]:
    """The discounts that hold now: the subscription's own, else the customer's."""
    own = [account.store.get("discount", one) for one in (subscription or {}).get("discounts") or []]
    found = own or ([customer["discount"]] if customer.get("discount") else [])
    return [one for one in found if one["end"] is None or one["end"] > account.now()]


def coupon_of(account: Account, discount: Document) -> Document:
    return account.store.get("coupon", discount["source"]["coupon"])


def applied(account: Account, lines: list[Document], found: list[Document]) -> tuple[list[Document], list[Document]]:
    """The lines with what each discount takes off them, and what each takes off in all."""
    totals = []
    for discount in found:
        coupon = coupon_of(account, discount)
        left = coupon["amount_off"]
        taken = 0
        after = []
        for line in lines:
            less = _less(line, coupon, left)
            if left is not None:
                left -= less
            taken += less
            after.append(_with(line, discount["id"], less) if less else line)
        lines = after
        totals.append({"amount": taken, "discount": discount["id"]})
    return lines, totals


def _less(line: Document, coupon: Document, left: int | None) -> int:
    """What the coupon takes off the line, of which `left` is the most when the coupon is an amount."""
    products = (coupon.get("applies_to") or {}).get("products")
    product = ((line["pricing"] or {}).get("price_details") or {}).get("product")
    if not line["discountable"] or line["amount"] <= 0 or (products and product not in products):
        return 0
    rest = line["amount"] - sum(one["amount"] for one in line.get("discount_amounts") or [])
    return min(rest, left) if left is not None else percent(rest, coupon["percent_off"])


def _with(line: Document, discount_id: str, less: int) -> Document:
    amounts = [*(line.get("discount_amounts") or []), {"amount": less, "discount": discount_id}]
    return {**line, "discount_amounts": amounts, "discounts": [*(line.get("discounts") or []), discount_id]}


def percent(amount: int, share: float) -> int:
    """`share` per cent of `amount`, in whole minor units, half up."""
    return int((Decimal(amount) * Decimal(str(share)) / 100).quantize(Decimal(1), ROUND_HALF_UP))


def net(account: Account, amount: int, coupon_ids: list[str]) -> int:
    """What is left of an amount after these coupons."""
    for coupon_id in coupon_ids:
        coupon = account.store.get("coupon", coupon_id)
        off = coupon["amount_off"]
        amount -= min(amount, off) if off is not None else percent(amount, coupon["percent_off"])
    return amount


def going_on(account: Account, subscription: Document, invoice: Document) -> list[str]:
    """The subscription's discounts after this invoice: one that is for once ends when it has taken something off."""
    used = {one["discount"] for one in invoice["total_discount_amounts"] if one["amount"]}
    kept = []
    for discount_id in subscription["discounts"]:
        discount = account.store.get("discount", discount_id)
        is_spent = discount_id in used and coupon_of(account, discount)["duration"] == "once"
        is_over = discount["end"] is not None and discount["end"] <= account.now()
        if is_spent or is_over:
            end(account, discount_id)
        else:
            kept.append(discount_id)
    return kept


# Which coupons the present period of an item was billed with, so that what comes back is what was paid.


def remember_billed(account: Account, subscription: Document, found: list[Document]) -> None:
    key = f"billed_{subscription['items']['data'][0]['id']}"
    document = {"id": key, "object": "billed_with", "coupons": [one["source"]["coupon"] for one in found]}
    if account.store.find("billed_with", key):
        account.store.save(document)
    else:
        account.store.insert(document)


def billed_with(account: Account, item_id: str) -> list[str]:
    known = account.store.find("billed_with", f"billed_{item_id}")
    return list(known["coupons"]) if known else []


def set_on_customer(account: Account, customer: Document, coupon_id: str) -> Document | None:
    """What versions before 2025 did with `coupon` on a customer: replace its discount, or end it when empty."""
    before = customer.get("discount")
    if not coupon_id:
        if before:
            end(account, before["id"])
        return None
    currency = customer.get("currency") or "usd"
    given = attach(account, {"coupon": coupon_id}, customer=customer["id"], currency=currency, amount=0)
    if before:
        account.events.emit("customer.discount.updated", given, previous={"source": before["source"]})
    return given
