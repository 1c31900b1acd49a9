"""Money sent back."""

from __future__ import annotations

from collections.abc import Iterator

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import cards, warnings
from billing.sandbox.store import Document, new_id

SLOW, SLOW_SECONDS = ("refunded_later", "refund_fails"), 60


def create(account: Account, params: Params) -> Document:
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
    if made["disputed"] and not _is_refundable(account, made):
        raise invalid("This charge has been charged back.", code="charge_disputed")
    refunded = made["amount_refunded"] + amount
    account.update(
        made, event="charge.refunded", amount_refunded=refunded, refunded=refunded == made["amount_captured"]
    )
    if refunded == made["amount_captured"]:
        warnings.settle(account, made["id"])
    behaviour = cards.behaviour_of(account.store.find("payment_method", made["payment_method"]))
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
        "status": "pending" if behaviour in SLOW else "succeeded",
    }
    return account.create(refund, event="refund.created")


def _is_refundable(account: Account, made: Document) -> bool:
    """A contested charge cannot be refunded but while its bank only asks."""
    found = account.store.all("dispute", lambda one: one["charge"] == made["id"])
    return all(one["is_charge_refundable"] or one["status"] == "won" for one in found)


def due_times(refund: Document) -> Iterator[int]:
    """When the bank says how a refund went that was not done at once."""
    if refund["status"] == "pending":
        yield refund["created"] + SLOW_SECONDS


def turn(account: Account, refund: Document) -> None:
    """It arrives, or comes back: then the money is the account's again."""
    made = account.store.get("charge", refund["charge"])
    method = account.store.find("payment_method", made["payment_method"])
    if cards.behaviour_of(method) != "refund_fails":
        account.update(refund, event="refund.updated", status="succeeded")
        return
    left = made["amount_refunded"] - refund["amount"]
    account.update(made, event="charge.updated", amount_refunded=left, refunded=False)
    account.update(refund, event="refund.failed", status="failed", failure_reason="expired_or_canceled_card")


def cancel(account: Account, params: Params, refund_id: str) -> Document:
    """Only what has not arrived yet can be stopped."""
    p.known(params)
    refund = account.store.get("refund", refund_id)
    if refund["status"] != "pending":
        raise invalid(f"A refund that is {refund['status']} cannot be canceled.", code="refund_not_cancelable")
    made = account.store.get("charge", refund["charge"])
    left = made["amount_refunded"] - refund["amount"]
    account.update(made, event="charge.updated", amount_refunded=left, refunded=False)
    return account.update(refund, event="refund.updated", status="canceled", failure_reason="merchant_request")


def retrieve(account: Account, _params: Params, refund_id: str) -> Document:
    return account.store.get("refund", refund_id)


def update(account: Account, params: Params, refund_id: str) -> Document:
    p.known(params, "metadata")
    refund = account.store.get("refund", refund_id)
    after = account.update(
        refund, event="refund.updated", metadata=p.merged(refund["metadata"], params.get("metadata"))
    )
    # The older name of the same event, which Stripe still sends.
    account.events.emit("charge.refund.updated", after)
    return after


def listed(account: Account, params: Params) -> Document:
    p.known(params, "payment_intent", "charge", "limit", "starting_after", "ending_before", "created")

    return account.store.page(
        "refund",
        params,
        url="/v1/refunds",
        where=lambda refund: params.get("charge") in (None, refund["charge"]),
        payment_intent=params.get("payment_intent"),
    )
