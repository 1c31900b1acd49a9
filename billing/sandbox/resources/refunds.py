"""Money sent back."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id


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
    }
    return account.create(refund, event="refund.created")


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
