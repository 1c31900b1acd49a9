"""Charges: one attempt to take money from a card, whether it succeeded or not."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.params import Params
from billing.sandbox.resources import warnings
from billing.sandbox.resources.cards import behaviour_of
from billing.sandbox.shapes.payments import NO_BILLING_DETAILS
from billing.sandbox.store import Document, new_id


def record(account: Account, intent: Document, method: Document | None, *, is_paid: bool) -> Document:
    """The charge of an attempt. A card that its holder will contest is contested at once."""
    behaviour = behaviour_of(method)
    is_captured = is_paid and intent["capture_method"] != "manual"
    made = {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if is_captured else 0,
        "billing_details": method["billing_details"] if method else NO_BILLING_DETAILS,
        "captured": is_captured,
        "created": account.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "failure_code": None if is_paid else "card_declined",
        "failure_message": None if is_paid else "Your card was declined.",
        "outcome": _outcome(is_paid=is_paid),
        "paid": is_paid,
        "payment_intent": intent["id"],
        "payment_method": method["id"] if method else None,
        "payment_method_details": _details(method) if method and method["type"] == "card" else None,
        "status": "succeeded" if is_paid else "failed",
    }
    made = account.create(made, event="charge.succeeded" if is_paid else "charge.failed")
    if is_captured and behaviour in ("disputed", "inquired"):
        from billing.sandbox.resources import disputes

        disputes.open_for(account, made, is_inquiry=behaviour == "inquired")
    if is_captured and behaviour == "warned_of":
        warnings.warn_of(account, made)
    return made


def _outcome(*, is_paid: bool) -> Document:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if is_paid else "declined_by_network",
        "reason": None if is_paid else "generic_decline",
        "risk_level": "normal",
        "seller_message": "Payment complete." if is_paid else "The bank did not return any further details.",
        "type": "authorized" if is_paid else "issuer_declined",
    }


def _details(method: Document) -> Document:
    names = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    card = {name: method["card"][name] for name in names}
    nothing = dict.fromkeys(("installments", "mandate", "three_d_secure", "wallet", "amount_authorized"))
    return {"type": "card", "card": {**card, **nothing, "network": card["brand"], "checks": None}}


def capture(account: Account, charge_id: str) -> Document:
    made = account.store.get("charge", charge_id)
    return account.update(made, event="charge.captured", captured=True, amount_captured=made["amount"])


def retrieve(account: Account, _params: Params, charge_id: str) -> Document:
    return account.store.get("charge", charge_id)


def update(account: Account, params: Params, charge_id: str) -> Document:
    p.known(params, "description", "metadata", "receipt_email", "fraud_details")
    made = account.store.get("charge", charge_id)
    changes = {name: value for name, value in params.items() if name in ("description", "receipt_email")}
    changes["metadata"] = p.merged(made["metadata"], params.get("metadata"))
    return account.update(made, event="charge.updated", **changes)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "payment_intent", "created", "limit", "starting_after", "ending_before")

    customer, intent = params.get("customer"), params.get("payment_intent")
    return account.store.page("charge", params, url="/v1/charges", customer=customer, payment_intent=intent)
