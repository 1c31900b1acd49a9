"""Payment intents: money that is to be taken, from the wish to the charge; and which of them paid which invoice."""

from __future__ import annotations

from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import declined, invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import cards, charges
from billing.sandbox.store import Document, new_id

_UNCONFIRMED = ("requires_payment_method", "requires_confirmation", "requires_action")


def charge(account: Account, *, invoice: Document, method: Document | None, is_authenticated: bool = False) -> bool:
    """Take the money of an invoice from a card; returns whether it was paid."""
    intent = _begin(account, amount=invoice["amount_due"], currency=invoice["currency"], customer=invoice["customer"])
    intent = attempt(account, intent, method, is_authenticated=is_authenticated)
    is_paid = bool(intent["status"] == "succeeded")
    _record_payment(account, invoice, intent, is_paid=is_paid)
    if intent["status"] == "requires_action":
        account.events.emit("invoice.payment_action_required", invoice)
    return is_paid


def _begin(account: Account, *, amount: int, currency: str, customer: str | None, **more: Any) -> Document:
    intent_id = new_id("pi")
    intent = {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "client_secret": f"{intent_id}_secret_{new_id('x')[2:]}",
        "created": account.now(),
        "currency": currency,
        "customer": customer,
        **more,
    }
    return account.create(intent, event="payment_intent.created")


def attempt(account: Account, intent: Document, method: Document | None, *, is_authenticated: bool = False) -> Document:
    """Try the card once; the intent that comes back says how it went."""
    behaviour = cards.behaviour_of(method)
    method_id = method["id"] if method else None
    if behaviour == "needs_authentication" and not is_authenticated:
        made = charges.record(account, intent, method, is_paid=False)
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
        changes: dict[str, Any] = {"status": "requires_action", "next_action": action, "latest_charge": made["id"]}
        return account.update(intent, event="payment_intent.requires_action", payment_method=method_id, **changes)
    if is_authenticated and method:
        cards.note_authentication(account, method)
    is_paid = behaviour in cards.PAYS
    made = charges.record(account, intent, method, is_paid=is_paid)
    common = {"latest_charge": made["id"], "payment_method": method_id, "next_action": None}
    if not is_paid:
        error = {
            "charge": made["id"], "code": "card_declined", "decline_code": "generic_decline",
            "message": "Your card was declined.", "type": "card_error",
        }  # fmt: skip
        changes = {**common, "status": "requires_payment_method", "last_payment_error": error, "payment_method": None}
        return account.update(intent, event="payment_intent.payment_failed", **changes)
    if intent["capture_method"] == "manual":
        changes = {**common, "status": "requires_capture", "amount_capturable": intent["amount"]}
        return account.update(intent, event="payment_intent.amount_capturable_updated", **changes)
    changes = {**common, "status": "succeeded", "amount_received": intent["amount"]}
    return account.update(intent, event="payment_intent.succeeded", **changes)


def create(account: Account, params: Params) -> Document:
    p.known(
        params, "amount", "currency", "customer", "payment_method", "payment_method_types", "confirm", "description",
        "capture_method", "confirmation_method", "metadata", "return_url", "shipping", "setup_future_usage",
        "off_session", "automatic_payment_methods", "receipt_email", "statement_descriptor",
    )  # fmt: skip
    names = ("description", "capture_method", "confirmation_method", "metadata", "shipping", "setup_future_usage")
    method = cards.find(account, params["payment_method"]) if params.get("payment_method") else None
    intent = _begin(
        account,
        amount=p.amount(params, "amount"),
        currency=p.required(params, "currency").lower(),
        customer=params.get("customer"),
        payment_method=method["id"] if method else None,
        status="requires_confirmation" if method else "requires_payment_method",
        **{name: params[name] for name in names if name in params},
    )
    return _confirmed(account, intent, method) if p.boolean(params.get("confirm")) else intent


def _confirmed(account: Account, intent: Document, method: Document | None) -> Document:
    if method is None:
        raise invalid("You cannot confirm this PaymentIntent because it's missing a payment method.")
    intent = attempt(account, intent, method)
    if intent["last_payment_error"]:
        raise declined(keeps=True, payment_intent=intent, charge=intent["latest_charge"])
    return intent


def confirm(account: Account, params: Params, intent_id: str) -> Document:
    p.known(params, "payment_method", "return_url", "off_session")
    intent = _unfinished(account, intent_id)
    name = params.get("payment_method") or intent["payment_method"]
    return _confirmed(account, {**intent, "last_payment_error": None}, cards.find(account, name) if name else None)


def capture(account: Account, params: Params, intent_id: str) -> Document:
    p.known(params, "amount_to_capture")
    intent = account.store.get("payment_intent", intent_id)
    if intent["status"] != "requires_capture":
        raise invalid(f"This PaymentIntent could not be captured because it has a status of {intent['status']}.")
    charges.capture(account, intent["latest_charge"])
    changes: dict[str, Any] = {"status": "succeeded", "amount_capturable": 0, "amount_received": intent["amount"]}
    return account.update(intent, event="payment_intent.succeeded", **changes)


def cancel(account: Account, params: Params, intent_id: str) -> Document:
    p.known(params, "cancellation_reason")
    intent = _unfinished(account, intent_id)
    changes = {"canceled_at": account.now(), "cancellation_reason": params.get("cancellation_reason")}
    return account.update(intent, event="payment_intent.canceled", status="canceled", **changes)


def _unfinished(account: Account, intent_id: str) -> Document:
    intent = account.store.get("payment_intent", intent_id)
    if intent["status"] not in (*_UNCONFIRMED, "requires_capture"):
        text = f"This PaymentIntent has a status of {intent['status']} and can no longer be changed."
        raise invalid(text, code="payment_intent_unexpected_state")
    return intent


def retrieve(account: Account, _params: Params, intent_id: str) -> Document:
    return account.store.get("payment_intent", intent_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "created", "limit", "starting_after", "ending_before")
    return account.store.page("payment_intent", params, url="/v1/payment_intents", customer=params.get("customer"))


def retrieve_invoice_payment(account: Account, _params: Params, payment_id: str) -> Document:
    return account.store.get("invoice_payment", payment_id)


def _record_payment(account: Account, invoice: Document, intent: Document, *, is_paid: bool) -> None:
    account.create(
        {
            "id": new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": intent["amount"] if is_paid else None,
            "amount_requested": intent["amount"],
            "created": account.now(),
            "currency": intent["currency"],
            "invoice": invoice["id"],
            "payment": {"type": "payment_intent", "payment_intent": intent["id"]},
            "status": "paid" if is_paid else "open",
            "status_transitions": {"canceled_at": None, "paid_at": account.now() if is_paid else None},
        },
        event="invoice_payment.paid" if is_paid else None,
    )


def list_invoice_payments(account: Account, params: Params) -> Document:
    p.known(params, "invoice", "payment", "status", "limit", "starting_after", "ending_before")
    intent = (params.get("payment") or {}).get("payment_intent")

    def is_wanted(payment: Document) -> bool:
        return params.get("status") in (None, payment["status"]) and intent in (
            None,
            payment["payment"]["payment_intent"],
        )

    url, invoice = "/v1/invoice_payments", params.get("invoice")
    return account.store.page("invoice_payment", params, url=url, where=is_wanted, invoice=invoice)
