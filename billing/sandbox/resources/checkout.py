"""Checkout sessions: a page on which a customer subscribes."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import customers, payments, subscriptions
from billing.sandbox.store import Document, new_id

OPEN_SECONDS = 86_400


def create(account: Account, params: Params) -> Document:
    p.known(
        params, "mode", "customer", "client_reference_id", "line_items", "success_url", "cancel_url", "locale",
        "metadata", "subscription_data", "allow_promotion_codes", "automatic_tax", "tax_id_collection",
        "customer_update", "billing_address_collection", "payment_method_collection", "customer_email", "expires_at",
    )  # fmt: skip
    if params.get("mode") != "subscription":
        raise invalid("This simulation sells subscriptions: mode must be subscription.", param="mode")
    entry = p.required(params, "line_items")[0]
    price = account.store.get("price", p.required(entry, "price"))
    quantity = p.integer(entry.get("quantity"), param="line_items[0][quantity]", default=1)
    customer = customers.existing(account, p.required(params, "customer"))
    session_id = new_id("cs_test")
    amount = price["unit_amount"] * quantity
    session = {
        "id": session_id,
        "object": "checkout.session",
        "amount_subtotal": amount,
        "amount_total": amount,
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "created": account.now(),
        "currency": price["currency"],
        "customer": customer["id"],
        "customer_email": customer["email"],
        "expires_at": account.now() + OPEN_SECONDS,
        "locale": params.get("locale"),
        "metadata": params.get("metadata") or {},
        "mode": "subscription",
        "payment_status": "unpaid",
        "status": "open",
        "success_url": p.required(params, "success_url"),
        "url": f"{account.base_url}/checkout/{session_id}",
    }
    session = account.store.insert(session)
    account.store.insert(
        {
            "id": f"ask_{session_id}",
            "object": "checkout_request",
            "price": price["id"],
            "quantity": quantity,
            "subscription_data": params.get("subscription_data") or {},
        }
    )
    return session


def retrieve(account: Account, _params: Params, session_id: str) -> Document:
    return account.store.get("checkout.session", session_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "status", "subscription", "limit", "starting_after", "ending_before", "created")

    def is_wanted(session: Document) -> bool:
        return all(params.get(name) in (None, session[name]) for name in ("customer", "status", "subscription"))

    return account.store.page(account.store.all("checkout.session", is_wanted), params, url="/v1/checkout/sessions")


def expire(account: Account, _params: Params, session_id: str) -> Document:
    session = account.store.get("checkout.session", session_id)
    if session["status"] != "open":
        raise invalid(f"This Session is {session['status']} and cannot be expired.")
    return account.update(session, event="checkout.session.expired", status="expired", url=None)


def complete(
    account: Account, session: Document, *, number: str, month: int, year: int, is_authenticated: bool
) -> Document:
    """Pay on the page. Raises the card's error; a card that needs authentication is refused without it."""
    if session["status"] != "open":
        raise invalid("This page was paid or has expired.")
    ask = account.store.get("checkout_request", f"ask_{session['id']}")
    data = ask["subscription_data"]
    card = payments.create_card(account, number=number, month=month, year=year, customer=session["customer"])
    customer = account.store.get("customer", session["customer"])
    settings = {**customer["invoice_settings"], "default_payment_method": card["id"]}
    account.update(customer, event="customer.updated", invoice_settings=settings)
    subscription = subscriptions.begin(
        account,
        customer=session["customer"],
        price=account.store.get("price", ask["price"]),
        quantity=ask["quantity"],
        method=card,
        metadata=data.get("metadata") or {},
        trial_days=p.integer(data.get("trial_period_days"), param="trial_period_days", default=0),
        is_authenticated=is_authenticated,
    )
    if subscription["status"] == "incomplete":
        from billing.sandbox.errors import declined

        raise declined()
    return account.update(
        session,
        event="checkout.session.completed",
        status="complete",
        payment_status="paid",
        subscription=subscription["id"],
        invoice=subscription["latest_invoice"],
        url=None,
    )
