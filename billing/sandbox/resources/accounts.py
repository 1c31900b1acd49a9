"""The account itself."""

from __future__ import annotations

from billing.sandbox.account import Account
from billing.sandbox.errors import missing
from billing.sandbox.params import Params
from billing.sandbox.store import Document

ID = "acct_simulated"


def retrieve_own(account: Account, _params: Params) -> Document:
    known = account.store.find("account", ID)
    name = "Simulated Stripe"
    return known or account.store.insert(
        {
            "id": ID,
            "object": "account",
            "business_profile": {
                "mcc": None, "name": name, "product_description": None, "support_address": None, "support_email": None,
                "support_phone": None, "support_url": None, "url": None,
            },
            "capabilities": {"card_payments": "active", "transfers": "active"},
            "created": account.now(),
        }
    )  # fmt: skip


def retrieve(account: Account, _params: Params, account_id: str) -> Document:
    if account_id != ID:
        raise missing("account", account_id)
    return retrieve_own(account, {})
