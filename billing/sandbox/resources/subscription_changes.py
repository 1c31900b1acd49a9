"""Changes of a subscription: another price or quantity with proration, when it ends, its discounts, its trial."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import catalogue, discounts, invoices, taxes
from billing.sandbox.resources.periods import period_end
from billing.sandbox.resources.proration import begins_period, proration
from billing.sandbox.resources.subscriptions import living, method_of
from billing.sandbox.store import Document, new_id


def update(account: Account, params: Params, subscription_id: str) -> Document:
    """Change the price or quantity with proration, or when it ends. An unpaid change is not made."""
    p.known(
        params, "items", "proration_behavior", "proration_date", "payment_behavior", "cancel_at_period_end",
        "cancellation_details", "metadata", "default_payment_method", "trial_end", "cancel_at", "discounts",
        "description", "pause_collection", "default_tax_rates", "automatic_tax", "trial_settings",
    )  # fmt: skip
    subscription = living(account, subscription_id)
    if subscription["schedule"] and ("cancel_at_period_end" in params or "cancel_at" in params):
        text = f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating"
        raise invalid(f"{text} any cancelation behavior directly is not allowed. Please update the schedule instead.")
    if "discounts" in params:
        subscription = _change_discounts(account, subscription, params["discounts"])
    if params.get("items"):
        subscription = _change_item(account, subscription, params)
    changes = _changed_end(account, subscription, params) if "cancel_at_period_end" in params else {}
    if "metadata" in params:
        changes["metadata"] = p.merged(subscription["metadata"], params["metadata"])
    for name in ("default_payment_method", "description", "trial_settings"):
        if name in params:
            changes[name] = params[name] or None
    if "pause_collection" in params:
        changes["pause_collection"] = _pause(params["pause_collection"])
    if "default_tax_rates" in params:
        changes["default_tax_rates"] = taxes.rates(account, params["default_tax_rates"])
    if "automatic_tax" in params:
        changes["automatic_tax"] = taxes.setting(is_automatic=taxes.wanted(params))
    if params.get("cancel_at"):
        changes |= {"cancel_at": p.amount(params, "cancel_at"), "canceled_at": account.now()}
    subscription = account.update(subscription, event="customer.subscription.updated", **changes)
    if params.get("trial_end") == "now" and subscription["status"] == "trialing" and not params.get("items"):
        subscription = end_trial(account, subscription)
    return subscription


def _pause(given: Any) -> Document | None:
    """An empty value ends the pause."""
    if not given:
        return None
    behaviour = p.required(given, "behavior")
    if behaviour not in ("keep_as_draft", "mark_uncollectible", "void"):
        raise invalid("Invalid pause_collection[behavior].", param="pause_collection[behavior]")
    until = given.get("resumes_at")
    return {"behavior": behaviour, "resumes_at": int(until) if until else None}


def _changed_end(account: Account, subscription: Document, params: Params) -> dict[str, Any]:
    is_ending = p.boolean(params["cancel_at_period_end"])
    reason = "cancellation_requested" if is_ending else None
    return {
        "cancel_at_period_end": is_ending,
        "canceled_at": account.now() if is_ending else None,
        "cancel_at": subscription["items"]["data"][0]["current_period_end"] if is_ending else None,
        "cancellation_details": {
            "comment": None,
            "feedback": None,
            **(params.get("cancellation_details") or {}),
            "reason": reason,
        },
    }


def _change_discounts(account: Account, subscription: Document, given: Any) -> Document:
    """Replace the discounts; an empty value ends them all."""
    for discount_id in subscription["discounts"]:
        discounts.end(account, discount_id)
    first = subscription["items"]["data"][0]
    amount = first["price"]["unit_amount"] * first["quantity"]
    fresh = discounts.attach_all(account, given, subscription=subscription, amount=amount)
    return account.update(subscription, event="customer.subscription.updated", discounts=fresh)


def end_trial(account: Account, subscription: Document) -> Document:
    """The first paid period begins now."""
    from billing.sandbox.resources import renewals

    item = {**subscription["items"]["data"][0], "current_period_end": account.now()}
    items = {**subscription["items"], "data": [item]}
    ended = account.store.save({**subscription, "items": items, "trial_end": account.now()})
    renewals.turn(account, ended)
    return account.store.get("subscription", subscription["id"])


def _change_item(account: Account, subscription: Document, params: Params) -> Document:
    if catalogue.is_metered(subscription["items"]["data"][0]["price"]):
        raise invalid("The simulated Stripe does not change metered items.", param="items")
    price, quantity = _wanted_item(account, subscription, params["items"])
    unchanged, before = subscription, subscription["items"]["data"][0]
    at = p.integer(params.get("proration_date"), param="proration_date", default=account.now())
    behaviour = params.get("proration_behavior", "create_prorations")
    is_new_period = begins_period(subscription, price, params.get("trial_end"))
    wanted: dict[str, Any] = {"price": price, "quantity": quantity, "at": at, "begins_period": is_new_period}
    lines = proration(account, subscription, **wanted) if behaviour != "none" else []
    after = {**before, "price": price, "plan": catalogue.plan_of(price), "quantity": quantity}
    if is_new_period:
        after |= {"current_period_start": at, "current_period_end": period_end(at, price["recurring"])}
        subscription = {**subscription, "billing_cycle_anchor": at}
    changes: dict[str, Any] = {"items": {**subscription["items"], "data": [after]}}
    customer = account.store.get("customer", subscription["customer"])
    found = discounts.active(account, subscription, customer)
    if subscription["status"] == "trialing" and is_new_period:
        changes |= {"status": "active", "trial_end": at}
    if behaviour == "always_invoice" or is_new_period:
        invoice = invoices.finalise(account, invoices.draft(account, subscription, lines, reason="subscription_update"))
        invoice = invoices.pay(account, invoice, method_of(account, subscription))
        changes["latest_invoice"] = invoice["id"]
        if invoice["status"] != "paid" and params.get("payment_behavior") == "pending_if_incomplete":
            anchor = at if is_new_period else None
            waiting = _pending(account, after, anchor=anchor, trial_end=changes.get("trial_end"))
            changes = {"latest_invoice": invoice["id"], "pending_update": waiting}
            return account.update(unchanged, event="customer.subscription.updated", **changes)
        changes["discounts"] = discounts.going_on(account, subscription, invoice)
    elif lines:
        invoices.keep_pending(account, subscription, lines)
    discounts.remember_billed(account, subscription, found)
    return account.update(subscription, event="customer.subscription.updated", **changes)


def _pending(account: Account, item: Document, *, anchor: int | None, trial_end: int | None) -> Document:
    """What is to change once it is paid."""
    return {
        "billing_cycle_anchor": anchor,
        "discounts": None,
        "expires_at": account.now() + 82_800,
        "metadata": None,
        "subscription_items": [item],
        "trial_end": trial_end,
        "trial_from_plan": None,
    }


def _wanted_item(account: Account, subscription: Document, wanted: Any) -> tuple[Document, int]:
    """(price, quantity) that the one item is to have."""
    entry = wanted[0] if isinstance(wanted, list) else wanted
    before = subscription["items"]["data"][0]
    if entry.get("id") not in (None, before["id"]):
        raise invalid(f"No such subscription item: '{entry['id']}'", param="items[0][id]", code="resource_missing")
    price = account.store.get("price", entry["price"]) if entry.get("price") else before["price"]
    quantity = p.integer(entry.get("quantity"), param="items[0][quantity]", default=before["quantity"])
    return price, quantity


def preview(account: Account, params: Params) -> Document:
    """The invoice that a change would make, made by the very code that makes it."""
    p.known(params, "subscription", "subscription_details", "customer", "currency")
    subscription = living(account, p.required(params, "subscription"))
    details = params.get("subscription_details") or {}
    price, quantity = _wanted_item(account, subscription, details.get("items") or [{}])
    at = p.integer(details.get("proration_date"), param="proration_date", default=account.now())
    is_new_period = begins_period(subscription, price, details.get("trial_end"))
    lines = proration(account, subscription, price=price, quantity=quantity, at=at, begins_period=is_new_period)
    invoice = invoices.draft(account, subscription, lines, reason="upcoming")
    return {**invoice, "id": new_id("upcoming_in"), "hosted_invoice_url": None, "invoice_pdf": None}


def resume(account: Account, params: Params, subscription_id: str) -> Document:
    """A paused subscription begins a new period now."""
    p.known(params, "billing_cycle_anchor", "proration_behavior")
    subscription = account.store.get("subscription", subscription_id)
    if subscription["status"] != "paused":
        raise invalid("Only a paused subscription can be resumed.")
    if method_of(account, subscription) is None:
        raise invalid("This customer has no default payment method.", code="resource_missing")
    after = end_trial(account, {**subscription, "status": "active"})
    account.events.emit("customer.subscription.resumed", after)
    return after
