"""Taxes on invoices: rates that somebody has set, and automatic tax, which knows the standard rates of a few places.

Tax is rounded half up for each line, on what discounts leave of it. A part of a period that is given back takes its tax
back with it.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import tax_ids
from billing.sandbox.store import Document

# Standard rates: country, or country and state, to (name, kind, per cent).
_PLACES = {
    "AT": ("VAT", "vat", 20.0), "BE": ("VAT", "vat", 21.0), "DE": ("VAT", "vat", 19.0), "ES": ("VAT", "vat", 21.0),
    "FR": ("VAT", "vat", 20.0), "IE": ("VAT", "vat", 23.0), "IT": ("VAT", "vat", 22.0), "NL": ("VAT", "vat", 21.0),
    "GB": ("VAT", "vat", 20.0), "CH": ("VAT", "vat", 8.1), "AU": ("GST", "gst", 10.0), "SG": ("GST", "gst", 9.0),
    "JP": ("Consumption tax", "jct", 10.0), "CN": ("VAT", "vat", 6.0), "US-CA": ("Sales tax", "sales_tax", 7.25),
    "US-NY": ("Sales tax", "sales_tax", 4.0), "US-TX": ("Sales tax", "sales_tax", 6.25),
}  # fmt: skip
_EU = ("AT", "BE", "DE", "ES", "FR", "IE", "IT", "NL")
COUNTRIES = {
    "US": "United States", "AT": "Austria", "AU": "Australia", "BE": "Belgium", "CH": "Switzerland", "CN": "China",
    "DE": "Germany", "ES": "Spain", "FR": "France", "GB": "United Kingdom", "IE": "Ireland", "IT": "Italy",
    "JP": "Japan", "NL": "Netherlands", "SG": "Singapore",
}  # fmt: skip
# Currencies whose prices are meant without tax when they do not say.
_WITHOUT_TAX = ("usd", "cad")


def wanted(params: Params) -> bool:
    return p.boolean((params.get("automatic_tax") or {}).get("enabled"))


def check_place(customer: Document) -> None:
    """Automatic tax needs to know where the customer is."""
    if not (customer["address"] or {}).get("country"):
        text = "The customer's location isn't recognized. Set a valid customer address in order to calculate tax."
        raise invalid(text, code="customer_tax_location_invalid", param="automatic_tax")


def setting(*, is_automatic: bool) -> Document:
    """The field `automatic_tax` of a subscription."""
    return {
        "disabled_reason": None,
        "enabled": is_automatic,
        "liability": {"type": "self"} if is_automatic else None,
    }


def rates(account: Account, given: Any) -> list[Document]:
    """The rates of `default_tax_rates` or `tax_rates`."""
    found = [account.store.get("tax_rate", str(one)) for one in (given if isinstance(given, list) else [])]
    for rate in found:
        if not rate["active"]:
            raise invalid(f"The tax rate {rate['id']} is not active.", param="default_tax_rates")
    return found


def applied(
    account: Account, lines: list[Document], customer: Document, *, by_hand: list[Document], is_automatic: bool
) -> tuple[list[Document], list[Document]]:
    """The lines with their taxes, and what each tax comes to in all."""
    if not by_hand and not is_automatic:
        return lines, []
    taxed = [{**line, "taxes": _of_line(account, line, customer, by_hand, is_automatic)} for line in lines]
    totals: dict[tuple[str, str], Document] = {}
    for one in (tax for line in taxed for tax in line["taxes"]):
        key = (one["tax_rate_details"]["tax_rate"], one["taxability_reason"])
        known = totals.get(key)
        sums = {name: one[name] + (known[name] if known else 0) for name in ("amount", "taxable_amount")}
        totals[key] = {**one, **sums}
    return taxed, list(totals.values())


def _of_line(
    account: Account, line: Document, customer: Document, by_hand: list[Document], is_automatic: bool
) -> list[Document]:
    reason = _exemption(account, customer)
    found = [_rate_of_place(account, customer, line)] if is_automatic else by_hand
    taxable = line["amount"] - sum(one["amount"] for one in line.get("discount_amounts") or [])
    taxable -= sum(one["amount"] for one in line.get("pretax_credit_amounts") or [] if one["type"] != "discount")
    inclusive = sum((Decimal(str(rate["percentage"])) for rate in found if rate["inclusive"]), Decimal(0))
    net = Decimal(taxable) * 100 / (100 + inclusive)
    taxes = []
    for rate in found:
        amount = int((net * Decimal(str(rate["percentage"])) / 100).quantize(Decimal(1), ROUND_HALF_UP))
        taxes.append(
            {
                "amount": 0 if reason else amount,
                "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
                "tax_rate_details": {"tax_rate": rate["id"]},
                "taxability_reason": reason or ("standard_rated" if is_automatic else "not_available"),
                "taxable_amount": 0 if reason else int(net.quantize(Decimal(1), ROUND_HALF_UP)),
                "type": "tax_rate_details",
            }
        )
    return taxes


def _exemption(account: Account, customer: Document) -> str:
    """Why this customer pays no tax; empty when they do."""
    if customer["tax_exempt"] == "exempt":
        return "customer_exempt"
    country = (customer["address"] or {}).get("country")
    is_business = any(one["type"] == "eu_vat" for one in tax_ids.of_customer(account, customer["id"]))
    return "reverse_charge" if customer["tax_exempt"] == "reverse" or (is_business and country in _EU) else ""


def _rate_of_place(account: Account, customer: Document, line: Document) -> Document:
    """The rate that holds where the customer is; kept, so that invoices can refer to it."""
    address = customer["address"] or {}
    country, state = str(address.get("country") or ""), str(address.get("state") or "")
    place = f"{country}-{state}" if f"{country}-{state}" in _PLACES else country
    name, kind, percentage = _PLACES.get(place, ("No tax", "sales_tax", 0.0))
    is_inclusive = _is_inclusive(account, line)
    rate_id = f"txr_auto{place.replace('-', '') or 'none'}{'in' if is_inclusive else 'ex'}"
    known = account.store.find("tax_rate", rate_id)
    return known or account.store.insert(
        {
            "id": rate_id,
            "object": "tax_rate",
            "active": False,
            "country": country or None,
            "created": account.now(),
            "display_name": name,
            "effective_percentage": percentage,
            "inclusive": is_inclusive,
            "jurisdiction": place or None,
            "percentage": percentage,
            "rate_type": "percentage",
            "state": state or None,
            "tax_type": kind,
        }
    )


def _is_inclusive(account: Account, line: Document) -> bool:
    price_id = ((line["pricing"] or {}).get("price_details") or {}).get("price")
    price = account.store.find("price", price_id)
    behaviour = price["tax_behavior"] if price else "unspecified"
    return bool(behaviour == "inclusive" or (behaviour == "unspecified" and line["currency"] not in _WITHOUT_TAX))


def exclusive(totals: list[Document]) -> int:
    """What is to be paid on top."""
    return sum(int(one["amount"]) for one in totals if one["tax_behavior"] == "exclusive")


def all_of(totals: list[Document]) -> int:
    return sum(int(one["amount"]) for one in totals)
