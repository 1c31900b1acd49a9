"""Cards, payments, refunds and disputes. A card's number says what it does, as with Stripe's test cards."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import declined, invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, in_period, new_id

# Stripe's published test cards: number -> what happens when it is charged.
TEST_CARDS = {
    "4242424242424242": "ok",
    "5555555555554444": "ok",
    "4000000000000002": "card_declined",
    "4000000000009995": "insufficient_funds",
    "4000000000000069": "expired_card",
    "4000002500003155": "needs_authentication",
    "4000000000000341": "declined_when_charged",
}


def create_card(account: Account, *, number: str, month: int, year: int, customer: str | None) -> Document:
    """A saved card. Raises the card error of a number that is declined at once or is no test card."""
    digits = "".join(character for character in number if character.isdigit())
    behaviour = TEST_CARDS.get(digits)
    if behaviour is None:
        raise declined("incorrect_number", None)
    if behaviour in ("card_declined", "insufficient_funds", "expired_card"):
        raise declined("expired_card" if behaviour == "expired_card" else "card_declined", behaviour)
    method = {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "card": {
            "brand": "mastercard" if digits.startswith("5") else "visa",
            "country": "US",
            "exp_month": month,
            "exp_year": year,
            "fingerprint": f"fingerprint{digits[-8:]}",
            "funding": "credit",
            "last4": digits[-4:],
        },
        "created": account.now(),
        "customer": customer,
        "metadata": {"simulated_behaviour": behaviour},
        "type": "card",
    }
    return account.create(method, event="payment_method.attached" if customer else None)


def charge(account: Account, *, invoice: Document, method: Document | None, is_authenticated: bool = False) -> bool:
    """Take the money of an invoice from a card; returns whether it was paid."""
    intent = {
        "id": new_id("pi"),
        "object": "payment_intent",
        "amount": invoice["amount_due"],
        "capture_method": "automatic",
        "client_secret": new_id("pi_secret"),
        "created": account.now(),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "payment_method": method["id"] if method else None,
        "status": "requires_payment_method",
    }
    behaviour = method["metadata"]["simulated_behaviour"] if method else "none"
    is_paid = behaviour == "ok" or (behaviour == "needs_authentication" and is_authenticated)
    made = _charge_object(account, intent, method, is_paid=is_paid)
    made = account.store.insert(made)
    intent["latest_charge"] = made["id"]
    if is_paid:
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
    intent = account.store.insert(intent)
    _record_payment(account, invoice, intent, is_paid=is_paid)
    account.events.emit("charge.succeeded" if is_paid else "charge.failed", made)
    account.events.emit("payment_intent.succeeded" if is_paid else "payment_intent.payment_failed", intent)
    return is_paid


def _charge_object(account: Account, intent: Document, method: Document | None, *, is_paid: bool) -> Document:
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if is_paid else 0,
        "captured": is_paid,
        "created": account.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "failure_code": None if is_paid else "card_declined",
        "failure_message": None if is_paid else "Your card was declined.",
        "paid": is_paid,
        "payment_intent": intent["id"],
        "payment_method": method["id"] if method else None,
        "status": "succeeded" if is_paid else "failed",
    }


def _record_payment(account: Account, invoice: Document, intent: Document, *, is_paid: bool) -> None:
    account.store.insert(
        {
            "id": new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": intent["amount"] if is_paid else None,
            "amount_requested": intent["amount"],
            "created": account.now(),
            "currency": intent["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"type": "payment_intent", "payment_intent": intent["id"]},
            "status": "paid" if is_paid else "open",
            "status_transitions": {"canceled_at": None, "paid_at": account.now() if is_paid else None},
        }
    )


def list_invoice_payments(account: Account, params: Params) -> Document:
    p.known(params, "invoice", "payment", "status", "limit", "starting_after", "ending_before")
    intent = (params.get("payment") or {}).get("payment_intent")

    def is_wanted(payment: Document) -> bool:
        return (
            params.get("invoice") in (None, payment["invoice"])
            and params.get("status") in (None, payment["status"])
            and intent in (None, payment["payment"]["payment_intent"])
        )

    return account.store.page(account.store.all("invoice_payment", is_wanted), params, url="/v1/invoice_payments")


def retrieve_charge(account: Account, _params: Params, charge_id: str) -> Document:
    return account.store.get("charge", charge_id)


def list_charges(account: Account, params: Params) -> Document:
    p.known(params, "customer", "payment_intent", "created", "limit", "starting_after", "ending_before")

    def is_wanted(made: Document) -> bool:
        return (
            params.get("customer") in (None, made["customer"])
            and params.get("payment_intent") in (None, made["payment_intent"])
            and in_period(made["created"], params.get("created"))
        )

    return account.store.page(account.store.all("charge", is_wanted), params, url="/v1/charges")


def retrieve_payment_intent(account: Account, _params: Params, intent_id: str) -> Document:
    return account.store.get("payment_intent", intent_id)


def retrieve_payment_method(account: Account, _params: Params, method_id: str) -> Document:
    return account.store.get("payment_method", method_id)


def create_refund(account: Account, params: Params) -> Document:
    """Send money of a charge back; refuses more than is left of it."""
    p.known(params, "payment_intent", "charge", "amount", "reason", "metadata")
    if intent_id := params.get("payment_intent"):
        made = account.store.get("charge", account.store.get("payment_intent", intent_id)["latest_charge"])
    else:
        made = account.store.get("charge", p.required(params, "charge"))
    left = made["amount_captured"] - made["amount_refunded"]
    amount = p.integer(params.get("amount"), param="amount", default=left)
    if not 0 < amount <= left:
        code = "charge_already_refunded" if left == 0 else None
        raise invalid("Refund amount is greater than unrefunded amount on charge", param="amount", code=code)
    refunded = made["amount_refunded"] + amount
    account.update(
        made, event="charge.refunded", amount_refunded=refunded, refunded=refunded == made["amount_captured"]
    )
    refund = {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "charge": made["id"],
        "created": account.now(),
        "currency": made["currency"],
        "metadata": params.get("metadata") or {},
        "payment_intent": made["payment_intent"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "status": "succeeded",
    }
    return account.create(refund, event="refund.created")


def retrieve_refund(account: Account, _params: Params, refund_id: str) -> Document:
    return account.store.get("refund", refund_id)


def list_refunds(account: Account, params: Params) -> Document:
    p.known(params, "payment_intent", "charge", "limit", "starting_after", "ending_before", "created")

    def is_wanted(refund: Document) -> bool:
        return params.get("payment_intent") in (None, refund["payment_intent"]) and params.get("charge") in (
            None,
            refund["charge"],
        )

    return account.store.page(account.store.all("refund", is_wanted), params, url="/v1/refunds")


def open_dispute(account: Account, charge_id: str) -> Document:
    """What a bank does when its customer contests a charge; asked for through the control plane."""
    made = account.store.get("charge", charge_id)
    account.update(made, event="charge.updated", disputed=True)
    dispute = {
        "id": new_id("du"),
        "object": "dispute",
        "amount": made["amount"],
        "charge": made["id"],
        "created": account.now(),
        "currency": made["currency"],
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": made["payment_intent"],
        "reason": "fraudulent",
        "status": "needs_response",
    }
    return account.create(dispute, event="charge.dispute.created")


def retrieve_dispute(account: Account, _params: Params, dispute_id: str) -> Document:
    return account.store.get("dispute", dispute_id)
