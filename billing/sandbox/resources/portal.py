"""Customer portal sessions: a page where a customer manages card, plan and invoices."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.params import Params
from billing.sandbox.resources import customers
from billing.sandbox.store import Document, new_id


def create(account: Account, params: Params) -> Document:
    p.known(params, "customer", "return_url", "flow_data", "locale", "configuration")
    customer = customers.existing(account, p.required(params, "customer"))
    session_id = new_id("bps")
    session = {
        "id": session_id,
        "object": "billing_portal.session",
        "configuration": "bpc_simulated",
        "created": account.now(),
        "customer": customer["id"],
        "flow": params.get("flow_data"),
        "locale": params.get("locale"),
        "return_url": params.get("return_url"),
        "url": f"{account.base_url}/portal/{session_id}",
    }
    return account.create(session)
