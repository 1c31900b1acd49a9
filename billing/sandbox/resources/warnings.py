"""Early fraud warnings: a card's issuer has been told of fraud, and may contest the charge later."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id

KIND = "radar.early_fraud_warning"


def warn_of(account: Account, made: Document) -> Document:
    """Actionable until the charge is refunded or contested."""
    warning = {
        "id": new_id("issfr"),
        "object": KIND,
        "actionable": not made["refunded"] and not made["disputed"],
        "charge": made["id"],
        "created": account.now(),
        "fraud_type": "unauthorized_use_of_card",
        "livemode": False,
        "payment_intent": made["payment_intent"],
    }
    return account.create(warning, event=f"{KIND}.created")


def settle(account: Account, charge_id: str) -> None:
    """The charge was refunded or contested: nothing is left to do about its warnings."""
    for warning in account.store.all(KIND, lambda one: one["charge"] == charge_id and one["actionable"]):
        account.update(warning, event=f"{KIND}.updated", actionable=False)


def retrieve(account: Account, _params: Params, warning_id: str) -> Document:
    return account.store.get(KIND, warning_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "charge", "payment_intent", "created", "limit", "starting_after", "ending_before")
    return account.store.page(
        KIND,
        params,
        url="/v1/radar/early_fraud_warnings",
        where=lambda one: params.get("charge") in (None, one["charge"]),
        payment_intent=params.get("payment_intent"),
    )
