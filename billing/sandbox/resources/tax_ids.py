"""Tax ids of customers, shown on their invoices, and tax rates."""

from __future__ import annotations

import re

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import customers
from billing.sandbox.store import Document, new_id

# What a tax id of each kind looks like; Stripe knows many more.
FORMS = {
    "eu_vat": r"[A-Z]{2}[0-9A-Z]{8,12}",
    "gb_vat": r"GB[0-9]{9}([0-9]{3})?",
    "us_ein": r"[0-9]{2}-?[0-9]{7}",
    "ch_vat": r"CHE-?[0-9.]{9,11} ?(MWST|TVA|IVA)",
    "au_abn": r"[0-9]{11}",
    "cn_tin": r"[0-9A-Z]{15,18}",
    "jp_trn": r"T[0-9]{13}",
    "sg_gst": r"[0-9A-Z]{9,10}",
}
NAMES = {
    "eu_vat": "EU VAT", "gb_vat": "UK VAT", "us_ein": "US EIN", "ch_vat": "CH VAT", "au_abn": "AU ABN",
    "cn_tin": "CN TIN", "jp_trn": "JP TRN", "sg_gst": "SG GST",
}  # fmt: skip


def create(account: Account, params: Params, customer_id: str) -> Document:
    p.known(params, "type", "value")
    kind, value = p.required(params, "type"), str(p.required(params, "value")).strip().upper()
    customer = customers.existing(account, customer_id)
    if not re.fullmatch(FORMS.get(kind, r"\S{3,}"), value):
        raise invalid(f"Invalid value for {kind}.", param="value", code="tax_id_invalid")
    tax_id = {
        "id": new_id("txi"),
        "object": "tax_id",
        "country": value[:2] if kind == "eu_vat" else kind[:2].upper(),
        "created": account.now(),
        "customer": customer["id"],
        "owner": {"type": "customer", "customer": customer["id"]},
        "type": kind,
        "value": value,
        "verification": {"status": "unavailable", "verified_address": None, "verified_name": None},
    }
    return account.create(tax_id, event="customer.tax_id.created")


def listed(account: Account, params: Params, customer_id: str) -> Document:
    p.known(params, "limit", "starting_after", "ending_before")
    url = f"/v1/customers/{customer_id}/tax_ids"
    return account.store.page("tax_id", params, url=url, customer=customer_id)


def retrieve(account: Account, _params: Params, customer_id: str, tax_id: str) -> Document:
    customers.existing(account, customer_id)
    return account.store.get("tax_id", tax_id)


def delete(account: Account, _params: Params, customer_id: str, tax_id: str) -> Document:
    gone = retrieve(account, {}, customer_id, tax_id)
    account.store.remove(gone)
    account.events.emit("customer.tax_id.deleted", gone)
    return {"id": tax_id, "object": "tax_id", "deleted": True}


def of_customer(account: Account, customer_id: str) -> list[Document]:
    """What an invoice says of them: type and value."""
    found = account.store.all("tax_id", customer=customer_id)
    return [{"type": one["type"], "value": one["value"]} for one in found[::-1]]


def create_rate(account: Account, params: Params) -> Document:
    p.known(
        params, "display_name", "inclusive", "percentage", "description", "active", "country", "jurisdiction",
        "metadata", "state", "tax_type",
    )  # fmt: skip
    names = ("description", "country", "jurisdiction", "metadata", "state", "tax_type")
    rate = {
        "id": new_id("txr"),
        "object": "tax_rate",
        "active": p.boolean(params.get("active"), default=True),
        "created": account.now(),
        "display_name": p.required(params, "display_name"),
        "inclusive": p.boolean(p.required(params, "inclusive")),
        "percentage": float(p.required(params, "percentage")),
        "rate_type": "percentage",
        **{name: params[name] for name in names if name in params},
    }
    return account.create(rate, event="tax_rate.created")


def retrieve_rate(account: Account, _params: Params, rate_id: str) -> Document:
    return account.store.get("tax_rate", rate_id)


def update_rate(account: Account, params: Params, rate_id: str) -> Document:
    p.known(params, "active", "description", "display_name", "metadata", "jurisdiction")
    rate = account.store.get("tax_rate", rate_id)
    changes = {name: params[name] for name in ("description", "display_name", "jurisdiction") if name in params}
    changes["metadata"] = p.merged(rate["metadata"], params.get("metadata"))
    if "active" in params:
        changes["active"] = p.boolean(params["active"])
    return account.update(rate, event="tax_rate.updated", **changes)


def list_rates(account: Account, params: Params) -> Document:
    p.known(params, "active", "inclusive", "created", "limit", "starting_after", "ending_before")
    return account.store.page("tax_rate", params, url="/v1/tax_rates")
