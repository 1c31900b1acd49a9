"""Charges that their card's holder contests."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import warnings
from billing.sandbox.shapes import complete
from billing.sandbox.store import Document, new_id

ANSWER_DAYS = 9


# What somebody writes into `uncategorized_text` to win or lose a dispute of a test card.
WINNING, LOSING = "winning_evidence", "losing_evidence"
FEE = 1_500
CLOSED = ("lost", "won", "warning_closed")


def open_for(account: Account, made: Document, *, is_inquiry: bool = False) -> Document:
    """What a bank does when its customer contests a charge; an inquiry asks first and takes no money yet."""
    made = account.update(account.store.get("charge", made["id"]), event="charge.updated", disputed=True)
    warnings.settle(account, made["id"])
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
    return made_dispute if is_inquiry else _withdraw(account, made_dispute)


def _withdraw(account: Account, dispute: Document) -> Document:
    """The bank takes the money, and Stripe its fee."""
    return _moved(account, dispute, -dispute["amount"], FEE, event="charge.dispute.funds_withdrawn")


def _moved(account: Account, dispute: Document, amount: int, fee: int, *, event: str) -> Document:
    entry = {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": account.now(),
        "balance_type": "payments",
        "created": account.now(),
        "currency": dispute["currency"],
        "description": f"Chargeback of {dispute['charge']}",
        "fee": fee,
        "fee_details": [
            {"amount": fee, "application": None, "currency": dispute["currency"], "description": "Dispute fee",
             "type": "stripe_fee"}
        ] if fee else [],
        "net": amount - fee,
        "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
        "source": dispute["id"],
        "status": "available",
        "type": "adjustment",
    }  # fmt: skip
    dispute = account.update(dispute, balance_transactions=[*dispute["balance_transactions"], complete(entry)])
    account.events.emit(event, dispute)
    return dispute


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
    """Answer the bank. Evidence that says `winning_evidence` or `losing_evidence` is decided at once."""
    p.known(params, "evidence", "metadata", "submit")
    dispute = account.store.get("dispute", dispute_id)
    if dispute["status"] in CLOSED:
        raise invalid("This dispute is already closed.")
    changes: Document = {"metadata": p.merged(dispute["metadata"], params.get("metadata"))}
    evidence = {**dispute["evidence"], **(params.get("evidence") or {})}
    details = dispute["evidence_details"]
    if unknown := evidence.keys() - dispute["evidence"].keys():
        name = f"evidence[{min(unknown)}]"
        raise invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")
    if params.get("evidence"):
        changes["evidence"] = evidence
        changes["evidence_details"] = details = {**details, "has_evidence": True}
    # Stripe submits what is sent unless it is told to keep it as a draft.
    is_submitted = bool(params.get("evidence")) and p.boolean(params.get("submit"), default=True)
    if is_submitted:
        count = details["submission_count"] + 1
        changes["evidence_details"] = {**details, "submission_count": count, "submission_method": "manual"}
        is_inquiry = dispute["status"].startswith("warning")
        changes["status"] = "warning_under_review" if is_inquiry else "under_review"
    dispute = account.update(dispute, event="charge.dispute.updated", **changes)
    verdict = str(evidence["uncategorized_text"] or "") if is_submitted else ""
    return decide(account, dispute, is_won=verdict == WINNING) if verdict in (WINNING, LOSING) else dispute


def decide(account: Account, dispute: Document, *, is_won: bool) -> Document:
    """What the bank says in the end; who wins gets the money back, but not the fee."""
    if dispute["status"].startswith("warning"):
        return account.update(dispute, event="charge.dispute.closed", status="warning_closed")
    if is_won:
        dispute = _moved(account, dispute, dispute["amount"], 0, event="charge.dispute.funds_reinstated")
    return account.update(dispute, event="charge.dispute.closed", status="won" if is_won else "lost")


def close(account: Account, params: Params, dispute_id: str) -> Document:
    """Give in: the money stays with the card's holder."""
    p.known(params)
    dispute = account.store.get("dispute", dispute_id)
    if dispute["status"] in CLOSED:
        raise invalid("This dispute is already closed.")
    return decide(account, dispute, is_won=False)
