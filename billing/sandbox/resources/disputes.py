"""Charges that their card's holder contests."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id

ANSWER_DAYS = 9


def open_for(account: Account, made: Document, *, is_inquiry: bool = False) -> Document:
    """What a bank does when its customer contests a charge; an inquiry asks first and takes no money yet."""
    made = account.update(account.store.get("charge", made["id"]), event="charge.updated", disputed=True)
    dispute: Document = {
        "id": new_id("du"),
        "object": "dispute",
        "amount": made["amount"],
        "charge": made["id"],
        "created": account.now(),
        "currency": made["currency"],
        "is_charge_refundable": is_inquiry,
        "network_reason_code": "10.4",
        "payment_intent": made["payment_intent"],
        "reason": "fraudulent",
        "status": "warning_needs_response" if is_inquiry else "needs_response",
    }
    made_dispute = account.create(dispute)
    details = {**made_dispute["evidence_details"], "due_by": account.now() + ANSWER_DAYS * 86_400}
    made_dispute = account.update(made_dispute, evidence_details=details)
    account.events.emit("charge.dispute.created", made_dispute)
    return made_dispute


def open_on(account: Account, charge_id: str) -> Document:
    return open_for(account, account.store.get("charge", charge_id))


def retrieve(account: Account, _params: Params, dispute_id: str) -> Document:
    return account.store.get("dispute", dispute_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "charge", "payment_intent", "created", "limit", "starting_after", "ending_before")

    return account.store.page(
        "dispute",
        params,
        url="/v1/disputes",
        where=lambda dispute: params.get("charge") in (None, dispute["charge"]),
        payment_intent=params.get("payment_intent"),
    )


def update(account: Account, params: Params, dispute_id: str) -> Document:
    p.known(params, "evidence", "metadata", "submit")
    dispute = account.store.get("dispute", dispute_id)
    changes = {"metadata": p.merged(dispute["metadata"], params.get("metadata"))}
    if evidence := params.get("evidence"):
        changes["evidence"] = {**dispute["evidence"], **evidence}
        changes["evidence_details"] = {**dispute["evidence_details"], "has_evidence": True}
    return account.update(dispute, event="charge.dispute.updated", **changes)


def close(account: Account, params: Params, dispute_id: str) -> Document:
    """Give in: the money stays with the card's holder."""
    p.known(params)
    dispute = account.store.get("dispute", dispute_id)
    if dispute["status"] in ("lost", "won", "warning_closed"):
        raise invalid("This dispute is already closed.")
    status = "warning_closed" if dispute["status"].startswith("warning") else "lost"
    return account.update(dispute, event="charge.dispute.closed", status=status)
