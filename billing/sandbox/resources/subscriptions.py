"""Subscriptions: made by Checkout or the API, changed with proration, ended now or at the end of the period."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import catalogue, customers, invoices
from billing.sandbox.store import Document, in_period, new_id

ENDED = ("canceled", "incomplete_expired")


def period_end(start: int, recurring: Document, *, count: int = 1) -> int:
    """The same day of a later month or year; the last of the month when that has fewer days."""
    if recurring["interval"] in ("day", "week"):
        seconds = 86_400 if recurring["interval"] == "day" else 604_800
        return start + count * int(recurring["interval_count"]) * seconds
    months = count * recurring["interval_count"] * (12 if recurring["interval"] == "year" else 1)
    begin = datetime.fromtimestamp(start, tz=UTC)
    month = begin.month - 1 + months
    year, month = begin.year + month // 12, month % 12 + 1
    day = min(begin.day, calendar.monthrange(year, month)[1])
    return int(begin.replace(year=year, month=month, day=day).timestamp())


def next_period_end(anchor: int, recurring: Document, *, after: int) -> int:
    """The first end of a period, counted from the anchor, that is after `after`; the anchor's day is never lost."""
    count = 1
    while (end := period_end(anchor, recurring, count=count)) <= after:
        count += 1
    return end


def item(price: Document, *, quantity: int, start: int, end: int, subscription_id: str, now: int) -> Document:
    return {
        "id": new_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": now,
        "current_period_end": end,
        "current_period_start": start,
        "discounts": [],
        "metadata": {},
        "plan": catalogue.plan_of(price),
        "price": price,
        "quantity": quantity,
        "subscription": subscription_id,
        "tax_rates": [],
    }


def begin(
    account: Account,
    *,
    customer: str,
    price: Document,
    quantity: int,
    method: Document | None,
    metadata: Document,
    trial_days: int = 0,
    is_authenticated: bool = False,
) -> Document:
    """A new subscription: trialing, active when its first invoice was paid, else incomplete."""
    now = account.now()
    trial_end = now + trial_days * 86_400 if trial_days else None
    end = trial_end or period_end(now, price["recurring"])
    subscription_id = new_id("sub")
    subscription: Document = {
        "id": subscription_id,
        "object": "subscription",
        "billing_cycle_anchor": end if trial_end else now,
        "created": now,
        "currency": price["currency"],
        "customer": customer,
        "default_payment_method": method["id"] if method else None,
        "items": {
            "object": "list",
            "data": [item(price, quantity=quantity, start=now, end=end, subscription_id=subscription_id, now=now)],
            "has_more": False,
            "url": f"/v1/subscription_items?subscription={subscription_id}",
        },
        "metadata": metadata,
        "start_date": now,
        "status": "incomplete",
        "trial_end": trial_end,
        "trial_start": now if trial_end else None,
    }
    account.store.save({**account.store.get("customer", customer), "currency": price["currency"]})
    line = invoices.line(
        text=description(account, price, quantity),
        amount=0 if trial_end else price["unit_amount"] * quantity,
        quantity=quantity,
        start=now,
        end=end,
        price=price,
        is_proration=False,
    )
    invoice = invoices.finalise(account, invoices.draft(account, subscription, [line], reason="subscription_create"))
    subscription["latest_invoice"] = invoice["id"]
    subscription = account.store.insert(subscription)
    invoice = invoices.pay(account, invoice, method, is_authenticated=is_authenticated)
    if invoice["status"] == "paid":
        subscription = account.update(subscription, status="trialing" if trial_end else "active")
    account.events.emit("customer.subscription.created", subscription)
    return subscription


def description(account: Account, price: Document, quantity: int) -> str:
    name = account.store.get("product", price["product"])["name"]
    amount, per = price["unit_amount"] / 100, price["recurring"]["interval"]
    return f"{quantity} × {name} (at {amount:.2f} {price['currency'].upper()} / {per})"


def retrieve(account: Account, _params: Params, subscription_id: str) -> Document:
    return account.store.get("subscription", subscription_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "status", "price", "created", "limit", "starting_after", "ending_before")
    status = params.get("status")

    def is_wanted(subscription: Document) -> bool:
        is_status = (
            subscription["status"] != "canceled" if status is None else status in ("all", subscription["status"])
        )
        return (
            is_status
            and params.get("customer") in (None, subscription["customer"])
            and params.get("price") in (None, subscription["items"]["data"][0]["price"]["id"])
            and in_period(subscription["created"], params.get("created"))
        )

    return account.store.page(account.store.all("subscription", is_wanted), params, url="/v1/subscriptions")


def update(account: Account, params: Params, subscription_id: str) -> Document:
    """Change the price or quantity with proration, or when it ends. An unpaid change is not made."""
    p.known(
        params, "items", "proration_behavior", "proration_date", "payment_behavior", "cancel_at_period_end",
        "cancellation_details", "metadata", "default_payment_method", "trial_end", "cancel_at",
    )  # fmt: skip
    subscription = _living(account, subscription_id)
    if params.get("items"):
        subscription = _change_item(account, subscription, params)
    changes: dict[str, Any] = {}
    if "cancel_at_period_end" in params:
        is_ending = p.boolean(params["cancel_at_period_end"])
        changes["cancel_at_period_end"] = is_ending
        changes["canceled_at"] = account.now() if is_ending else None
        changes["cancel_at"] = subscription["items"]["data"][0]["current_period_end"] if is_ending else None
        reason = "cancellation_requested" if is_ending else None
        details = {"comment": None, "feedback": None, **(params.get("cancellation_details") or {}), "reason": reason}
        changes["cancellation_details"] = details
    if "metadata" in params:
        changes["metadata"] = {**subscription["metadata"], **(params["metadata"] or {})}
    if "default_payment_method" in params:
        changes["default_payment_method"] = params["default_payment_method"]
    return account.update(subscription, event="customer.subscription.updated", **changes)


def _change_item(account: Account, subscription: Document, params: Params) -> Document:
    before, price, quantity = _wanted_item(account, subscription, params["items"])
    at = p.integer(params.get("proration_date"), param="proration_date", default=account.now())
    behaviour = params.get("proration_behavior", "create_prorations")
    lines = proration(account, before, price=price, quantity=quantity, at=at) if behaviour != "none" else []
    same_interval = price["recurring"]["interval"] == before["price"]["recurring"]["interval"]
    start, end = before["current_period_start"], before["current_period_end"]
    if not same_interval:
        start, end = at, period_end(at, price["recurring"])
        subscription = {**subscription, "billing_cycle_anchor": at}
    after = {**before, "price": price, "plan": catalogue.plan_of(price), "quantity": quantity}
    after |= {"current_period_start": start, "current_period_end": end}
    changes: dict[str, Any] = {"items": {**subscription["items"], "data": [after]}}
    if behaviour == "always_invoice" or not same_interval:
        invoice = invoices.finalise(account, invoices.draft(account, subscription, lines, reason="subscription_update"))
        invoice = invoices.pay(account, invoice, method_of(account, subscription))
        changes["latest_invoice"] = invoice["id"]
        if invoice["status"] != "paid" and params.get("payment_behavior") == "pending_if_incomplete":
            changes["items"] = subscription["items"]
            changes["pending_update"] = {
                "billing_cycle_anchor": None,
                "expires_at": account.now() + 82_800,
                "subscription_items": [after],
                "trial_end": None,
                "trial_from_plan": None,
            }
    elif lines:
        invoices.keep_pending(account, subscription, lines)
    return account.update(subscription, event="customer.subscription.updated", **changes)


def _wanted_item(account: Account, subscription: Document, wanted: Any) -> tuple[Document, Document, int]:
    entry = wanted[0] if isinstance(wanted, list) else wanted
    before = subscription["items"]["data"][0]
    if entry.get("id") not in (None, before["id"]):
        raise invalid(f"No such subscription item: '{entry['id']}'", param="items[0][id]", code="resource_missing")
    price = account.store.get("price", entry["price"]) if entry.get("price") else before["price"]
    quantity = p.integer(entry.get("quantity"), param="items[0][quantity]", default=before["quantity"])
    return before, price, quantity


def proration(account: Account, before: Document, *, price: Document, quantity: int, at: int) -> list[Document]:
    """What the rest of the period costs at the new price less what is left of the old one, to the second."""
    start, end = before["current_period_start"], before["current_period_end"]
    left, whole = max(0, end - at), max(1, end - start)
    old = before["price"]["unit_amount"] * before["quantity"]
    unused = -_share(old, left, whole)
    common = {"start": at, "end": end, "is_proration": True}
    credit = invoices.line(
        text=f"Unused time on {description(account, before['price'], before['quantity'])}",
        amount=unused,
        quantity=before["quantity"],
        price=before["price"],
        **common,
    )
    new = price["unit_amount"] * quantity
    if price["recurring"]["interval"] != before["price"]["recurring"]["interval"]:
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
    debit = invoices.line(
        text=f"Remaining time on {description(account, price, quantity)}",
        amount=_share(new, left, whole),
        quantity=quantity,
        price=price,
        **common,
    )
    return [credit, debit]


def _share(amount: int, part: int, whole: int) -> int:
    """`amount * part / whole`, rounded half up, in whole minor units."""
    return (2 * amount * part + whole) // (2 * whole)


def preview(account: Account, params: Params) -> Document:
    """The invoice that a change would make, made by the very code that makes it."""
    p.known(params, "subscription", "subscription_details", "customer", "currency")
    subscription = _living(account, p.required(params, "subscription"))
    details = params.get("subscription_details") or {}
    before, price, quantity = _wanted_item(account, subscription, details.get("items") or [{}])
    at = p.integer(details.get("proration_date"), param="proration_date", default=account.now())
    lines = proration(account, before, price=price, quantity=quantity, at=at)
    invoice = invoices.draft(account, subscription, lines, reason="upcoming")
    return {**invoice, "id": new_id("upcoming_in"), "hosted_invoice_url": None, "invoice_pdf": None}


def cancel(account: Account, params: Params, subscription_id: str) -> Document:
    p.known(params, "cancellation_details", "invoice_now", "prorate")
    subscription = _living(account, subscription_id)
    return end(account, subscription, reason="cancellation_requested", details=params.get("cancellation_details"))


def end(account: Account, subscription: Document, *, reason: str, details: Document | None = None) -> Document:
    """End it now."""
    now = account.now()
    ended = account.store.save(
        {
            **subscription,
            "status": "canceled",
            "canceled_at": subscription["canceled_at"] or now,
            "ended_at": now,
            "cancellation_details": {"comment": None, "feedback": None, **(details or {}), "reason": reason},
        }
    )
    account.events.emit("customer.subscription.deleted", ended)
    return ended


def method_of(account: Account, subscription: Document) -> Document | None:
    """The card that pays: the subscription's own, else the customer's."""
    customer = customers.retrieve(account, {}, subscription["customer"])
    settings = customer.get("invoice_settings") or {}
    method_id = subscription["default_payment_method"] or settings.get("default_payment_method")
    return account.store.find("payment_method", method_id) if method_id else None


def _living(account: Account, subscription_id: str) -> Document:
    subscription = account.store.get("subscription", subscription_id)
    if subscription["status"] in ENDED:
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    return subscription
