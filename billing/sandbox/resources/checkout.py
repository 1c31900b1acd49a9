"""Checkout sessions: a page on which a customer subscribes, or pays once."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox import shapes
from billing.sandbox.account import Account
from billing.sandbox.errors import declined, invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import (
    cards,
    catalogue,
    coupons,
    customers,
    discounts,
    invoices,
    payments,
    subscriptions,
    tax_ids,
    taxes,
)
from billing.sandbox.shapes.payments import NO_ADDRESS
from billing.sandbox.store import Document, listing, new_id

OPEN_SECONDS = 86_400
MODES = ("subscription", "payment")


def create(account: Account, params: Params) -> Document:
    p.known(
        params, "mode", "customer", "client_reference_id", "line_items", "success_url", "cancel_url", "locale",
        "metadata", "subscription_data", "allow_promotion_codes", "automatic_tax", "tax_id_collection",
        "customer_update", "billing_address_collection", "payment_method_collection", "customer_email", "expires_at",
        "discounts", "payment_intent_data", "currency",
    )  # fmt: skip
    mode = params.get("mode")
    if mode not in MODES:
        raise invalid("This simulation has no such mode: it must be subscription or payment.", param="mode")
    entry = p.required(params, "line_items")[0]
    quantity = p.integer(entry.get("quantity"), param="line_items[0][quantity]", default=1)
    customer = customers.existing(account, p.required(params, "customer")) if mode == "subscription" else None
    price = account.store.get("price", p.required(entry, "price"))
    currency = _currency(account, params, price, customer)
    collects = _tax_id_collection(params, customer)
    if params.get("discounts") and "allow_promotion_codes" in params:
        raise invalid("You may only specify one of these parameters: allow_promotion_codes, discounts.")
    session_id = new_id("cs_test")
    session = {
        "id": session_id,
        "object": "checkout.session",
        "allow_promotion_codes": p.boolean(params.get("allow_promotion_codes")),
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "created": account.now(),
        "currency": currency,
        "customer": customer["id"] if customer else None,
        "customer_email": customer["email"] if customer else params.get("customer_email"),
        "expires_at": _expiry(account, params),
        "locale": params.get("locale"),
        "metadata": params.get("metadata") or {},
        "mode": mode,
        "payment_method_collection": "always" if mode == "subscription" else "if_required",
        "automatic_tax": {
            "enabled": taxes.wanted(params),
            "liability": {"type": "self"} if taxes.wanted(params) else None,
            "provider": "stripe" if taxes.wanted(params) else None,
            "status": "requires_location_inputs" if taxes.wanted(params) else None,
        },
        "success_url": p.required(params, "success_url"),
        "tax_id_collection": {"enabled": collects, "required": "never"},
        "url": f"{account.base_url}/checkout/{session_id}",
    }
    ask = {
        "id": f"ask_{session_id}",
        "object": "checkout_request",
        "price": price["id"],
        "quantity": quantity,
        "subscription_data": params.get("subscription_data") or {},
    }
    account.store.insert(ask)
    session = account.store.insert(session)
    return _priced(account, session, [_discount(one) for one in params.get("discounts") or []])


def _currency(account: Account, params: Params, price: Document, customer: Document | None) -> str:
    """What was asked for, else what the customer has paid in where the price has it, else the price's own."""
    wanted = (params.get("currency") or "").lower()
    usual = (customer or {}).get("currency")
    if not wanted and usual in catalogue.currency_options(account, price):
        wanted = usual
    return str(catalogue.in_currency(account, price, wanted)["currency"])


def _expiry(account: Account, params: Params) -> int:
    """Half an hour to a day from now, a day unless it is said."""
    now = account.now()
    moment = p.integer(params.get("expires_at"), param="expires_at", default=now + OPEN_SECONDS)
    if not now + 1_790 <= moment <= now + OPEN_SECONDS + 10:
        raise invalid("expires_at must be between 30 minutes and 24 hours from now.", param="expires_at")
    return moment


def line_items(account: Account, params: Params, session_id: str) -> Document:
    """What the page sells."""
    p.known(params, "limit", "starting_after", "ending_before")
    session = account.store.get("checkout.session", session_id)
    price, quantity, _data = price_of(account, session)
    product = account.store.get("product", price["product"])
    item = {
        "id": f"li_{session_id[-24:]}",
        "object": "item",
        "amount_discount": session["total_details"]["amount_discount"],
        "amount_subtotal": session["amount_subtotal"],
        "amount_tax": session["total_details"]["amount_tax"],
        "amount_total": session["amount_total"],
        "currency": session["currency"],
        "description": product["name"],
        "metadata": {},
        "adjustable_quantity": None,
        "price": price,
        "quantity": quantity,
    }
    return listing([shapes.complete(item)], params, url=f"/v1/checkout/sessions/{session_id}/line_items")


def _tax_id_collection(params: Params, customer: Document | None) -> bool:
    """Whether the page asks for a tax id; for a customer who exists the name must be allowed to change with it."""
    is_wanted = p.boolean((params.get("tax_id_collection") or {}).get("enabled"))
    if is_wanted and customer and (params.get("customer_update") or {}).get("name") != "auto":
        text = "Tax ID collection requires updating business name on the customer: pass customer_update[name]: auto."
        raise invalid(text, param="customer_update[name]")
    return is_wanted


def _discount(given: Params) -> Document:
    return {"coupon": given.get("coupon"), "promotion_code": given.get("promotion_code")}


def price_of(account: Account, session: Document) -> tuple[Document, int, Document]:
    """(price in the buyer's currency, quantity, subscription data) of what the page sells."""
    ask = account.store.get("checkout_request", f"ask_{session['id']}")
    price = catalogue.in_currency(account, account.store.get("price", ask["price"]), session["currency"])
    return price, int(ask["quantity"]), ask["subscription_data"]


def _priced(account: Account, session: Document, found: list[Document]) -> Document:
    """The session with these discounts and what it comes to with them; what is free for now costs nothing yet."""
    price, quantity, data = price_of(account, session)
    subtotal = 0 if data.get("trial_period_days") else price["unit_amount"] * quantity
    ids = []
    for one in found:
        code = account.store.find("promotion_code", one["promotion_code"])
        ids.append(code["promotion"]["coupon"] if code else one["coupon"])
    total = discounts.net(account, subtotal, ids)
    details = {"amount_discount": subtotal - total, "amount_shipping": 0, "amount_tax": 0}
    return account.update(session, discounts=found, amount_subtotal=subtotal, amount_total=total, total_details=details)


def redeem(account: Account, session: Document, typed: str) -> Document:
    """Take the promotion code that was typed on the page; an empty one takes the present code away."""
    if not typed.strip():
        return _priced(account, session, [])
    promotion = coupons.find_code(account, typed)
    if promotion is None or not session["allow_promotion_codes"]:
        raise invalid("This promotion code is not valid.", code="promotion_code_invalid", param="promotion_code")
    price, quantity, _data = price_of(account, session)
    coupons.check_code(
        account,
        promotion,
        customer=session["customer"] or "",
        currency=price["currency"],
        amount=price["unit_amount"] * quantity,
    )
    return _priced(account, session, [{"coupon": None, "promotion_code": promotion["id"]}])


def retrieve(account: Account, _params: Params, session_id: str) -> Document:
    return account.store.get("checkout.session", session_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "status", "subscription", "limit", "starting_after", "ending_before", "created")

    def is_wanted(session: Document) -> bool:
        return all(params.get(name) in (None, session[name]) for name in ("status", "subscription"))

    url, customer = "/v1/checkout/sessions", params.get("customer")
    return account.store.page("checkout.session", params, url=url, where=is_wanted, customer=customer)


def expire(account: Account, _params: Params, session_id: str) -> Document:
    session = account.store.get("checkout.session", session_id)
    if session["status"] != "open":
        raise invalid(f"This Session is {session['status']} and cannot be expired.")
    return account.update(session, event="checkout.session.expired", status="expired", url=None)


def complete(
    account: Account,
    session: Document,
    *,
    number: str,
    month: int,
    year: int,
    is_authenticated: bool,
    tax_id: tuple[str, str] = ("", ""),
    business_name: str = "",
    country: str = "",
) -> Document:
    """Pay on the page. Raises the card's error; a card that needs authentication is refused without it."""
    if session["status"] != "open":
        raise invalid("This page was paid or has expired.")
    card = cards.create_card(account, number=number, month=month, year=year, customer=session["customer"])
    changes: dict[str, Any] = {"status": "complete", "payment_status": "paid", "url": None}
    if session["mode"] == "payment":
        changes |= _pay_once(account, session, card, is_authenticated=is_authenticated)
    else:
        if session["automatic_tax"]["enabled"]:
            session = _locate(account, session, country)
        customer = _update_customer(account, session, tax_id=tax_id, business_name=business_name)
        changes["customer_details"] = _details(account, customer)
        changes |= _subscribe(account, session, card, is_authenticated=is_authenticated)
    return account.update(session, event="checkout.session.completed", **changes)


def _locate(account: Account, session: Document, country: str) -> Document:
    """The session with the tax of where the customer is; the page asks for the country where that is not known."""
    customer = account.store.get("customer", session["customer"])
    if country and not (customer["address"] or {}).get("country"):
        address = {**NO_ADDRESS, "country": country.strip().upper()}
        customer = account.update(customer, event="customer.updated", address=address)
    taxes.check_place(customer)
    price, quantity, data = price_of(account, session)
    amount = session["amount_total"]
    line = invoices.line(text="", amount=amount, quantity=quantity, start=0, end=0, price=price, is_proration=False)
    _lines, totals = taxes.applied(account, [line], customer, by_hand=[], is_automatic=True)
    details = {**session["total_details"], "amount_tax": taxes.all_of(totals)}
    is_free = bool(data.get("trial_period_days"))
    return account.update(
        session,
        amount_total=0 if is_free else amount + taxes.exclusive(totals),
        total_details=session["total_details"] if is_free else details,
        automatic_tax={**session["automatic_tax"], "status": "complete"},
    )


def _update_customer(account: Account, session: Document, *, tax_id: tuple[str, str], business_name: str) -> Document:
    """Their tax id is theirs before the first invoice is written. The card is the subscription's alone."""
    customer = account.store.get("customer", session["customer"])
    changes: dict[str, Any] = {}
    if session["tax_id_collection"]["enabled"]:
        kind, value = tax_id
        if business_name:
            changes["name"] = business_name
        if value and {"type": kind, "value": value.strip().upper()} not in tax_ids.of_customer(account, customer["id"]):
            tax_ids.create(account, {"type": kind, "value": value}, customer["id"])
    return account.update(customer, event="customer.updated", **changes) if changes else customer


def _details(account: Account, customer: Document) -> Document:
    return {
        "address": customer["address"],
        "business_name": None,
        "email": customer["email"],
        "individual_name": None,
        "name": customer["name"],
        "phone": customer["phone"],
        "tax_exempt": "none",
        "tax_ids": tax_ids.of_customer(account, customer["id"]),
    }


def _subscribe(account: Account, session: Document, card: Document, *, is_authenticated: bool) -> Document:
    price, quantity, data = price_of(account, session)
    subscription = subscriptions.begin(
        account,
        customer=session["customer"],
        price=price,
        quantity=quantity,
        method=card,
        metadata=data.get("metadata") or {},
        trial_days=p.integer(data.get("trial_period_days"), param="trial_period_days", default=0),
        is_authenticated=is_authenticated,
        redeem=[{name: value for name, value in one.items() if value} for one in session["discounts"]],
        more={
            **{name: data[name] for name in ("description", "trial_settings") if name in data},
            **subscriptions.taxed(
                account,
                {**data, "automatic_tax": session["automatic_tax"]},
                account.store.get("customer", session["customer"]),
            ),
        },
    )
    if subscription["status"] == "incomplete":
        raise declined()
    return {"subscription": subscription["id"], "invoice": subscription["latest_invoice"]}


def _pay_once(account: Account, session: Document, card: Document, *, is_authenticated: bool) -> Document:
    intent = payments.create(account, {"amount": session["amount_total"], "currency": session["currency"]})
    intent = payments.attempt(account, intent, card, is_authenticated=is_authenticated)
    if intent["status"] != "succeeded":
        raise declined()
    return {"payment_intent": intent["id"]}
