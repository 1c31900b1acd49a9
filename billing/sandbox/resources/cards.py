"""Cards and other ways to pay. A card's number, or the name of its test token, says what it does."""

from __future__ import annotations

import hashlib

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import declined, invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id

# Stripe's published test cards: number -> what happens when it is charged.
TEST_CARDS = {
    "4242424242424242": "ok",
    "5555555555554444": "ok",
    "4000000000000077": "ok",
    "4000000000000002": "card_declined",
    "4000000000009995": "insufficient_funds",
    "4000000000000069": "expired_card",
    "4000002500003155": "needs_authentication",
    "4000002760003184": "needs_authentication",
    "4000000000003220": "needs_authentication",
    "4000000000000341": "declined_when_charged",
    "4000000000000259": "disputed",
    "4000000000001976": "inquired",
    "4000000000005423": "warned_of",
    "4000000000007726": "refunded_later",
    "4000000000005126": "refund_fails",
}
# Asks the person when it is set up and not at later payments, https://docs.stripe.com/testing#regulatory-cards
_ASKS_AT_SET_UP_ONLY = "3155"
# What happens to a payment that goes well, by what the card does.
PAYS = ("ok", "needs_authentication", "disputed", "inquired", "warned_of", "refunded_later", "refund_fails")
REFUSED_AT_ONCE = ("card_declined", "insufficient_funds", "expired_card")
# The names that stand for them: `pm_card_visa`, `tok_visa` and so on.
_TOKENS = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "bypassPending": "4000000000000077",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "authenticationRequired": "4000002760003184",
    "authenticationRequiredOnSetup": "4000002500003155",
    "threeDSecure2Required": "4000000000003220",
    "chargeCustomerFail": "4000000000000341",
    "createDispute": "4000000000000259",
    "createDisputeInquiry": "4000000000001976",
    "createIssuerFraudRecord": "4000000000005423",
    "pendingRefund": "4000000000007726",
    "refundFail": "4000000000005126",
}


def create_card(account: Account, *, number: str, month: int, year: int, customer: str | None) -> Document:
    """A saved card. Raises the card error of a number that is declined at once or is no test card."""
    digits = "".join(filter(str.isdigit, number))
    behaviour = TEST_CARDS.get(digits)
    if behaviour is None:
        raise declined("incorrect_number", None)
    refuse_at_once(behaviour)
    return _card(account, digits=digits, month=month, year=year, customer=customer)


def refuse_at_once(behaviour: str) -> None:
    """Raise the error of a card that no bank lets anybody save."""
    if behaviour in REFUSED_AT_ONCE:
        raise declined("expired_card" if behaviour == "expired_card" else "card_declined", behaviour)


def _card(account: Account, *, digits: str, month: int, year: int, customer: str | None) -> Document:
    method = {
        "id": new_id("pm"),
        "object": "payment_method",
        "card": {
            "brand": "mastercard" if digits.startswith("5") else "visa",
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": "mastercard" if digits.startswith("5") else "visa",
            "exp_month": month,
            "exp_year": year,
            "fingerprint": _fingerprint(digits, month, year),
            "funding": "credit",
            "generated_from": None,
            "last4": digits[-4:],
            "networks": {"available": ["visa"], "preferred": None},
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": account.now(),
        "customer": customer,
        "metadata": {"simulated_behaviour": TEST_CARDS[digits]},
        "type": "card",
    }
    return account.create(method, event="payment_method.attached" if customer else None)


def _fingerprint(digits: str, month: int, year: int) -> str:
    """The same for the same card. Stripe goes by the number; here each expiry date makes another card of the few test
    numbers, so that a tester can be many people."""
    return hashlib.sha256(f"{digits} {month}/{year}".encode()).hexdigest()[:16]


def behaviour_of(method: Document | None) -> str:
    return str(method["metadata"].get("simulated_behaviour", "ok")) if method else "none"


def note_authentication(account: Account, method: Document) -> None:
    """The person has shown to be the card's owner: one that asks when it is set up asks no more."""
    if method["card"]["last4"] == _ASKS_AT_SET_UP_ONLY:
        account.update(method, event=None, metadata={**method["metadata"], "simulated_behaviour": "ok"})


def find(account: Account, name: str, *, customer: str | None = None) -> Document:
    """The payment method of an id, or a new card for the name of a test card."""
    short = name.removeprefix("pm_card_").removeprefix("tok_")
    if short != name and short in _TOKENS:
        return _card(account, digits=_TOKENS[short], month=12, year=2040, customer=customer)
    return account.store.get("payment_method", name)


def create(account: Account, params: Params) -> Document:
    p.known(params, "type", "card", "billing_details", "metadata")
    kind = p.required(params, "type")
    if kind != "card":
        raise invalid(f"The simulated Stripe takes cards, not {kind}.", param="type")
    card = params.get("card") or {}
    if token := card.get("token"):
        return find(account, token)
    month, year = p.amount(card, "exp_month"), p.amount(card, "exp_year")
    return create_card(account, number=p.required(card, "number"), month=month, year=year, customer=None)


def retrieve(account: Account, _params: Params, method_id: str) -> Document:
    return account.store.get("payment_method", method_id)


def update(account: Account, params: Params, method_id: str) -> Document:
    p.known(params, "metadata", "billing_details", "card", "allow_redisplay")
    method = account.store.get("payment_method", method_id)
    changes = {"metadata": p.merged(method["metadata"], params.get("metadata"))}
    if details := params.get("billing_details"):
        changes["billing_details"] = {**method["billing_details"], **details}
    return account.update(method, event="payment_method.updated", **changes)


def attach(account: Account, params: Params, method_id: str) -> Document:
    """Save a card for a customer. One that its bank declines at once is refused."""
    from billing.sandbox.resources import customers

    p.known(params, "customer")
    customer = customers.existing(account, p.required(params, "customer"))
    method = find(account, method_id)
    refuse_at_once(behaviour_of(method))
    return account.update(method, event="payment_method.attached", customer=customer["id"])


def detach(account: Account, params: Params, method_id: str) -> Document:
    p.known(params)
    method = account.store.get("payment_method", method_id)
    if not method["customer"]:
        raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
    return account.update(method, event="payment_method.detached", customer=None)


def listed(account: Account, params: Params, customer_id: str = "") -> Document:
    p.known(params, "customer", "type", "limit", "starting_after", "ending_before")
    wanted = customer_id or params.get("customer")
    url = f"/v1/customers/{customer_id}/payment_methods" if customer_id else "/v1/payment_methods"
    return account.store.page("payment_method", params, url=url, customer=wanted or "nobody")
