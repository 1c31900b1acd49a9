"""Setup intents: a card saved for later without taking money."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import declined, invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import cards
from billing.sandbox.store import Document, new_id


def create(account: Account, params: Params) -> Document:
    p.known(
        params, "customer", "payment_method", "payment_method_types", "confirm", "description", "metadata", "usage",
        "return_url", "automatic_payment_methods",
    )  # fmt: skip
    intent_id = new_id("seti")
    name = params.get("payment_method")
    method = cards.find(account, name) if name else None
    intent = {
        "id": intent_id,
        "object": "setup_intent",
        "client_secret": f"{intent_id}_secret_{new_id('x')[2:]}",
        "created": account.now(),
        "customer": params.get("customer"),
        "description": params.get("description"),
        "metadata": params.get("metadata") or {},
        "payment_method": method["id"] if method else None,
        "status": "requires_confirmation" if method else "requires_payment_method",
        "usage": params.get("usage") or "off_session",
    }
    intent = account.create(intent, event="setup_intent.created")
    return _confirmed(account, intent, method) if p.boolean(params.get("confirm")) else intent


def confirm(account: Account, params: Params, intent_id: str) -> Document:
    p.known(params, "payment_method", "return_url")
    intent = _unfinished(account, intent_id)
    name = params.get("payment_method") or intent["payment_method"]
    return _confirmed(account, intent, cards.find(account, name) if name else None)


def _confirmed(account: Account, intent: Document, method: Document | None) -> Document:
    if method is None:
        raise invalid("You cannot confirm this SetupIntent because it's missing a payment method.")
    behaviour = cards.behaviour_of(method)
    if behaviour == "needs_authentication":
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
        changes = {"status": "requires_action", "next_action": action, "payment_method": method["id"]}
        return account.update(intent, event="setup_intent.requires_action", **changes)
    if behaviour in cards.REFUSED_AT_ONCE:
        error = {"code": "card_declined", "message": "Your card was declined.", "type": "card_error"}
        account.update(intent, event="setup_intent.setup_failed", last_setup_error=error)
        raise declined(decline_code=behaviour, keeps=True)
    if intent["customer"]:
        account.update(method, event="payment_method.attached", customer=intent["customer"])
    return account.update(
        intent, event="setup_intent.succeeded", status="succeeded", payment_method=method["id"], next_action=None
    )


def cancel(account: Account, params: Params, intent_id: str) -> Document:
    p.known(params, "cancellation_reason")
    intent = _unfinished(account, intent_id)
    reason = params.get("cancellation_reason")
    return account.update(intent, event="setup_intent.canceled", status="canceled", cancellation_reason=reason)


def _unfinished(account: Account, intent_id: str) -> Document:
    intent = account.store.get("setup_intent", intent_id)
    if intent["status"] in ("succeeded", "canceled"):
        raise invalid(f"This SetupIntent has a status of {intent['status']} and can no longer be changed.")
    return intent


def retrieve(account: Account, _params: Params, intent_id: str) -> Document:
    return account.store.get("setup_intent", intent_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "payment_method", "created", "limit", "starting_after", "ending_before")
    return account.store.page("setup_intent", params, url="/v1/setup_intents", customer=params.get("customer"))
