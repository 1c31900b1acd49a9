"""Coupons, and the promotion codes that people type for them."""

from __future__ import annotations

import secrets
import string
from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id


def create(account: Account, params: Params) -> Document:
    p.known(
        params, "id", "name", "percent_off", "amount_off", "currency", "duration", "duration_in_months",
        "max_redemptions", "redeem_by", "metadata", "applies_to",
    )  # fmt: skip
    duration = params.get("duration") or "once"
    coupon: Document = {
        "id": params.get("id") or _random(8),
        "object": "coupon",
        "created": account.now(),
        "duration": duration,
        "metadata": params.get("metadata") or {},
        "name": params.get("name"),
    }
    if params.get("percent_off"):
        coupon["percent_off"] = float(params["percent_off"])
        if not 0 < coupon["percent_off"] <= 100:
            raise invalid("percent_off must be greater than 0 and at most 100.", param="percent_off")
    elif params.get("amount_off"):
        coupon |= {"amount_off": p.amount(params, "amount_off"), "currency": p.required(params, "currency").lower()}
    else:
        raise invalid("You must pass either percent_off or amount_off.", param="percent_off")
    if duration == "repeating":
        coupon["duration_in_months"] = p.amount(params, "duration_in_months")
    for name in ("max_redemptions", "redeem_by"):
        if params.get(name):
            coupon[name] = p.amount(params, name)
    if products := (params.get("applies_to") or {}).get("products"):
        coupon["applies_to"] = {"products": products}
    if account.store.find("coupon", coupon["id"]):
        raise invalid("Coupon already exists.", code="resource_already_exists", param="id")
    return account.create(coupon, event="coupon.created")


def retrieve(account: Account, _params: Params, coupon_id: str) -> Document:
    return account.store.get("coupon", coupon_id)


def update(account: Account, params: Params, coupon_id: str) -> Document:
    p.known(params, "name", "metadata")
    coupon = account.store.get("coupon", coupon_id)
    metadata = p.merged(coupon["metadata"], params.get("metadata"))
    return account.update(coupon, event="coupon.updated", metadata=metadata, name=params.get("name", coupon["name"]))


def delete(account: Account, _params: Params, coupon_id: str) -> Document:
    """Nobody can redeem it any more; who has it keeps it."""
    coupon = account.update(account.store.get("coupon", coupon_id), valid=False)
    account.events.emit("coupon.deleted", {**coupon, "deleted": True})
    return {"id": coupon_id, "object": "coupon", "deleted": True}


def listed(account: Account, params: Params) -> Document:
    p.known(params, "created", "limit", "starting_after", "ending_before")
    return account.store.page("coupon", params, url="/v1/coupons")


def create_code(account: Account, params: Params) -> Document:
    """`promotion[coupon]` names the coupon; versions before 2025 called it `coupon`."""
    p.known(
        params, "promotion", "coupon", "code", "active", "customer", "expires_at", "max_redemptions", "metadata",
        "restrictions",
    )  # fmt: skip
    coupon_id = (params.get("promotion") or {}).get("coupon") or p.required(params, "coupon")
    coupon = account.store.get("coupon", coupon_id)
    code = str(params.get("code") or _random(8).upper())
    if find_code(account, code):
        raise invalid("An active promotion code with this code already exists.", param="code")
    given = params.get("restrictions") or {}
    minimum = given.get("minimum_amount")
    promotion: Document = {
        "id": new_id("promo"),
        "object": "promotion_code",
        "active": p.boolean(params.get("active"), default=True),
        "code": code,
        "created": account.now(),
        "customer": params.get("customer"),
        "metadata": params.get("metadata") or {},
        "promotion": {"coupon": coupon["id"], "type": "coupon"},
        "restrictions": {
            "first_time_transaction": p.boolean(given.get("first_time_transaction")),
            "minimum_amount": int(minimum) if minimum else None,
            "minimum_amount_currency": given.get("minimum_amount_currency"),
        },
    }
    for name in ("max_redemptions", "expires_at"):
        if params.get(name):
            promotion[name] = p.amount(params, name)
    return account.create(promotion, event="promotion_code.created")


def retrieve_code(account: Account, _params: Params, promotion_id: str) -> Document:
    return account.store.get("promotion_code", promotion_id)


def update_code(account: Account, params: Params, promotion_id: str) -> Document:
    p.known(params, "active", "metadata", "restrictions")
    promotion = account.store.get("promotion_code", promotion_id)
    changes: dict[str, Any] = {"metadata": p.merged(promotion["metadata"], params.get("metadata"))}
    if "active" in params:
        changes["active"] = p.boolean(params["active"])
    return account.update(promotion, event="promotion_code.updated", **changes)


def list_codes(account: Account, params: Params) -> Document:
    p.known(params, "active", "code", "coupon", "customer", "created", "limit", "starting_after", "ending_before")

    def is_wanted(promotion: Document) -> bool:
        return (
            params.get("code", "").lower() in ("", promotion["code"].lower())
            and params.get("coupon") in (None, promotion["promotion"]["coupon"])
            and ("active" not in params or promotion["active"] == p.boolean(params["active"]))
        )

    return account.store.page("promotion_code", params, url="/v1/promotion_codes", where=is_wanted)


def find_code(account: Account, code: str) -> Document | None:
    """The active promotion code that somebody typed, in whatever case."""
    wanted = code.strip().lower()
    found = account.store.all("promotion_code", lambda one: one["active"] and one["code"].lower() == wanted)
    return found[0] if found else None


def check(account: Account, coupon: Document, *, currency: str) -> None:
    """Raise unless the coupon can be redeemed now in this currency."""
    if not coupon["valid"] or (coupon["redeem_by"] and coupon["redeem_by"] <= account.now()):
        raise invalid(f"Coupon expired: {coupon['id']}", code="coupon_expired", param="coupon")
    if coupon["currency"] not in (None, currency):
        raise invalid(f"This coupon is in {coupon['currency']}, the price in {currency}.", param="coupon")


def check_code(account: Account, promotion: Document, *, customer: str, currency: str, amount: int) -> None:
    """Raise unless this customer can redeem the promotion code on this amount now."""
    rules = promotion["restrictions"]
    is_over = promotion["expires_at"] and promotion["expires_at"] <= account.now()
    if not promotion["active"] or is_over or promotion["customer"] not in (None, customer):
        raise invalid("This promotion code cannot be redeemed.", code="promotion_code_expired", param="promotion_code")
    if rules["minimum_amount"] and amount < rules["minimum_amount"]:
        raise invalid("This amount is too low for this promotion code.", code="amount_too_small")
    if rules["first_time_transaction"] and account.store.all(
        "charge", lambda made: bool(made["paid"]), customer=customer
    ):
        text = "This promotion code is only for people who have not paid before."
        raise invalid(text, code="customer_not_first_time")
    check(account, account.store.get("coupon", promotion["promotion"]["coupon"]), currency=currency)


def count_redemption(account: Account, kind: str, object_id: str) -> None:
    """One more redemption of a coupon or promotion code; the last allowed one ends it."""
    document = account.store.get(kind, object_id)
    times = document["times_redeemed"] + 1
    changes: dict[str, Any] = {"times_redeemed": times}
    if document["max_redemptions"] and times >= document["max_redemptions"]:
        changes["valid" if kind == "coupon" else "active"] = False
    account.update(document, event=f"{kind}.updated", **changes)


def _random(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
