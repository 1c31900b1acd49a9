"""Subscriptions: made by Checkout or the API, and what ends them. `subscription_changes` changes them."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import declined, invalid, missing
from billing.sandbox.params import Params
from billing.sandbox.resources import cards, catalogue, customers, discounts, invoices, taxes
from billing.sandbox.resources.periods import period_end
from billing.sandbox.resources.proration import description
from billing.sandbox.store import Document, listing, new_id

ENDED = ("canceled", "incomplete_expired")


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
        "quantity": None if catalogue.is_metered(price) else quantity,
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
    redeem: Any = None,
    more: Document | None = None,
    is_charged: bool = True,
) -> Document:
    """A new subscription: trialing, active when its first invoice was paid, else incomplete.

    `redeem` are its discounts as the API takes them, `more` further fields of it; without `is_charged` nothing is
    taken yet and the first invoice waits for its payment.
    """
    now = account.now()
    trial_end = now + trial_days * 86_400 if trial_days else None
    end = trial_end or period_end(now, price["recurring"])
    subscription_id = new_id("sub")
    owner = account.store.get("customer", customer)
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
        "test_clock": owner["test_clock"],
        "trial_end": trial_end,
        "trial_start": now if trial_end else None,
        **(more or {}),
    }
    account.store.save({**owner, "currency": price["currency"]})
    amount = 0 if catalogue.is_metered(price) else price["unit_amount"] * quantity
    subscription["discounts"] = discounts.attach_all(account, redeem, subscription=subscription, amount=amount)
    subscription = account.store.insert(subscription)
    invoice = _first_invoice(account, subscription, amount=0 if trial_end else amount)
    if is_charged or not invoice["amount_due"]:
        invoice = invoices.pay(account, invoice, method, is_authenticated=is_authenticated)
    changes: Document = {"latest_invoice": invoice["id"]}
    changes["discounts"] = discounts.going_on(account, subscription, invoice)
    if invoice["status"] == "paid":
        changes["status"] = "trialing" if trial_end else "active"
    subscription = account.update(subscription, **changes)
    account.events.emit("customer.subscription.created", subscription)
    return subscription


def _first_invoice(account: Account, subscription: Document, *, amount: int) -> Document:
    first = subscription["items"]["data"][0]
    line = invoices.line(
        text=description(account, first["price"], first["quantity"] or 0),
        amount=amount,
        quantity=first["quantity"] or 0,
        start=first["current_period_start"],
        end=first["current_period_end"],
        price=first["price"],
        is_proration=False,
    )
    customer = account.store.get("customer", subscription["customer"])
    discounts.remember_billed(account, subscription, discounts.active(account, subscription, customer))
    return invoices.finalise(account, invoices.draft(account, subscription, [line], reason="subscription_create"))


def create(account: Account, params: Params) -> Document:
    """Subscribe a customer without Checkout."""
    p.known(
        params, "customer", "items", "default_payment_method", "metadata", "trial_period_days", "trial_settings",
        "payment_behavior", "discounts", "off_session", "description", "collection_method", "billing_mode",
        "proration_behavior", "payment_settings", "trial_end", "cancel_at", "cancel_at_period_end", "default_tax_rates",
        "automatic_tax", "currency", "expand",
    )  # fmt: skip
    customer = customers.existing(account, p.required(params, "customer"))
    entry = p.required(params, "items")[0]
    price = account.store.get("price", p.required(entry, "price"))
    price = catalogue.in_currency(account, price, (params.get("currency") or "").lower())
    if not price["recurring"]:
        raise invalid("The price specified is set to `type=one_time` but this field only accepts recurring prices.")
    trial_days = p.integer(params.get("trial_period_days"), param="trial_period_days", default=0)
    name = params.get("default_payment_method") or customer["invoice_settings"]["default_payment_method"]
    method = cards.find(account, name) if name else None
    behaviour = params.get("payment_behavior", "allow_incomplete")
    if method is None and not trial_days and behaviour != "default_incomplete" and price["unit_amount"]:
        text = "This customer has no attached payment source or default payment method."
        raise invalid(text, code="resource_missing")
    subscription = begin(
        account,
        customer=customer["id"],
        price=price,
        quantity=p.integer(entry.get("quantity"), param="items[0][quantity]", default=1),
        method=method,
        metadata=params.get("metadata") or {},
        trial_days=trial_days,
        redeem=params.get("discounts"),
        more=_further(account, params, customer),
        is_charged=behaviour != "default_incomplete",
    )
    if subscription["status"] == "incomplete" and behaviour == "error_if_incomplete":
        raise declined()
    return subscription


def _further(account: Account, params: Params, customer: Document) -> Document:
    """Fields of a new subscription that are taken as they were given."""
    more = {name: params[name] for name in ("description", "trial_settings") if name in params}
    if params.get("cancel_at"):
        more |= {"cancel_at": p.amount(params, "cancel_at"), "canceled_at": account.now()}
    return {**more, **taxed(account, params, customer)}


def taxed(account: Account, params: Params, customer: Document) -> Document:
    """How a subscription is taxed: by rates that are given, or automatically by where the customer is."""
    is_automatic = taxes.wanted(params)
    if is_automatic:
        taxes.check_place(customer)
    return {
        "automatic_tax": taxes.setting(is_automatic=is_automatic),
        "default_tax_rates": taxes.rates(account, params.get("default_tax_rates")),
    }


def retrieve(account: Account, _params: Params, subscription_id: str) -> Document:
    return account.store.get("subscription", subscription_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "status", "price", "created", "limit", "starting_after", "ending_before")
    status = params.get("status")

    def is_wanted(subscription: Document) -> bool:
        is_status = (
            subscription["status"] != "canceled" if status is None else status in ("all", subscription["status"])
        )
        return is_status and params.get("price") in (None, subscription["items"]["data"][0]["price"]["id"])

    return account.store.page(
        "subscription", params, url="/v1/subscriptions", where=is_wanted, customer=params.get("customer")
    )


def list_items(account: Account, params: Params) -> Document:
    p.known(params, "subscription", "limit", "starting_after", "ending_before")
    subscription = account.store.get("subscription", p.required(params, "subscription"))
    return listing(subscription["items"]["data"], params, url="/v1/subscription_items")


def retrieve_item(account: Account, _params: Params, item_id: str) -> Document:
    for subscription in account.store.all("subscription"):
        for entry in subscription["items"]["data"]:
            if entry["id"] == item_id:
                found: Document = entry
                return found
    raise missing("subscription_item", item_id)


def cancel(account: Account, params: Params, subscription_id: str) -> Document:
    p.known(params, "cancellation_details", "invoice_now", "prorate")
    subscription = living(account, subscription_id)
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
    for invoice in account.store.all("invoice", lambda one: one["status"] == "open", customer=ended["customer"]):
        of_it = invoices.subscription_of(account, invoice)
        if of_it and of_it["id"] == ended["id"]:  # nobody's card is tried again after the end
            account.store.save({**invoice, "next_payment_attempt": None, "auto_advance": False})
    return ended


def method_of(account: Account, subscription: Document) -> Document | None:
    """The card that pays: the subscription's own, else the customer's."""
    if subscription["default_payment_method"]:
        return account.store.find("payment_method", subscription["default_payment_method"])
    return method_of_customer(account, subscription["customer"])


def method_of_customer(account: Account, customer_id: str) -> Document | None:
    customer = customers.retrieve(account, {}, customer_id)
    method_id = (customer.get("invoice_settings") or {}).get("default_payment_method")
    return account.store.find("payment_method", method_id) if method_id else None


def living(account: Account, subscription_id: str) -> Document:
    subscription = account.store.get("subscription", subscription_id)
    if subscription["status"] in ENDED:
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    return subscription
