"""Phases of a subscription schedule: what a subscription is while each of them lasts.

Source: Stripe's documentation of subscription schedules. What a phase does not say is unset on the subscription as long
as the phase lasts, so that whoever changes phases repeats what is to stay: discounts, card, taxes, description, and the
end of a trial, which else is now.
"""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.params import Params
from billing.sandbox.resources import catalogue, discounts, taxes
from billing.sandbox.resources.periods import period_end
from billing.sandbox.store import Document

KNOWN = (
    "add_invoice_items", "application_fee_percent", "automatic_tax", "billing_cycle_anchor", "billing_thresholds",
    "collection_method", "currency", "default_payment_method", "default_tax_rates", "description", "discounts",
    "duration", "end_date", "invoice_settings", "items", "iterations", "metadata", "on_behalf_of",
    "proration_behavior", "start_date", "transfer_data", "trial", "trial_end",
)  # fmt: skip
# Which of them the simulated subscriptions have, too.
SHARED = ("automatic_tax", "default_payment_method", "default_tax_rates", "description")


def of_subscription(subscription: Document) -> Document:
    """The phase that the present period of a subscription is when a schedule is made of it."""
    item = subscription["items"]["data"][0]
    phase = _phase(item["price"]["id"], item["quantity"], item["current_period_start"], item["current_period_end"])
    phase |= {name: subscription[name] for name in SHARED} | {"currency": subscription["currency"]}
    phase["discounts"] = [_reused(one) for one in subscription["discounts"]]
    if subscription["status"] == "trialing":
        phase["trial_end"] = subscription["trial_end"]
    return phase


def given(account: Account, asked: list[Params], *, start: int) -> list[Document]:
    """The phases of a request; one without a start begins where the one before it ends, one without an end has one
    period."""
    phases: list[Document] = []
    for one in asked:
        p.known(one, *KNOWN)
        entry = p.required(one, "items")[0]
        price = account.store.get("price", p.required(entry, "price"))
        begins = int(one.get("start_date") or (phases[-1]["end_date"] if phases else start))
        times = p.integer(one.get("iterations"), param="iterations", default=1)
        ends = int(one.get("end_date") or period_end(begins, price["recurring"], count=times))
        phase = _phase(price["id"], int(entry.get("quantity", 1)), begins, ends)
        currency = one.get("currency") or price["currency"]
        phases.append(phase | _settings(account, one) | {"currency": currency})
    return phases


def _settings(account: Account, one: Params) -> Document:
    trial_end = ends if (ends := one.get("trial_end")) and str(ends) != "now" else None
    return {
        "automatic_tax": taxes.setting(is_automatic=taxes.wanted(one)),
        "default_payment_method": one.get("default_payment_method") or None,
        "default_tax_rates": taxes.rates(account, one.get("default_tax_rates")),
        "description": one.get("description") or None,
        "discounts": [_discount(entry) for entry in one.get("discounts") or []],
        "metadata": one.get("metadata") or {},
        "trial_end": int(trial_end) if trial_end else None,
    }


def begin(account: Account, subscription: Document, phase: Document) -> Document:
    """The subscription as the phase has it, saved; its price and its trial are its caller's."""
    kept = [_attached(account, subscription, one) for one in phase["discounts"]]
    wanted = [one for one in kept if one]
    for discount_id in subscription["discounts"]:
        if discount_id not in wanted:
            discounts.end(account, discount_id)
    changes: dict[str, Any] = {name: phase[name] for name in SHARED}
    changes["metadata"] = {**subscription["metadata"], **phase["metadata"]}
    return account.update(subscription, event="customer.subscription.updated", **changes, discounts=wanted)


def terms(account: Account, phase: Document) -> tuple[Document, int]:
    """(price, quantity) while the phase lasts."""
    entry = phase["items"][0]
    price = catalogue.in_currency(account, account.store.get("price", entry["price"]), phase["currency"])
    return price, entry["quantity"]


def _attached(account: Account, subscription: Document, one: Document) -> str:
    """The discount that a phase names, made if it is yet to be redeemed; empty when it is over."""
    if one["discount"]:
        known = account.store.get("discount", one["discount"])
        return str(known["id"]) if known["end"] is None or known["end"] > account.now() else ""
    item = subscription["items"]["data"][0]
    redeemed = discounts.attach(
        account,
        {name: one[name] for name in ("coupon", "promotion_code") if one[name]},
        customer=subscription["customer"],
        currency=subscription["currency"],
        amount=item["price"]["unit_amount"] * (item["quantity"] or 0),
        subscription=subscription["id"],
    )
    one |= _reused(redeemed["id"])
    return str(redeemed["id"])


def _reused(discount_id: str) -> Document:
    return {"coupon": None, "discount": discount_id, "promotion_code": None}


def _discount(entry: Params) -> Document:
    return {name: entry.get(name) or None for name in ("coupon", "discount", "promotion_code")}


def _phase(price: str, quantity: int, start: int, end: int) -> Document:
    item = {"price": price, "plan": price, "quantity": quantity, "billing_thresholds": None}
    return {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "automatic_tax": taxes.setting(is_automatic=False),
        "billing_cycle_anchor": None,
        "billing_thresholds": None,
        "collection_method": None,
        "currency": "usd",
        "default_payment_method": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "end_date": end,
        "invoice_settings": None,
        "items": [{**item, "discounts": [], "metadata": {}, "tax_rates": []}],
        "metadata": {},
        "on_behalf_of": None,
        "proration_behavior": "none",
        "start_date": start,
        "transfer_data": None,
        "trial_end": None,
    }
