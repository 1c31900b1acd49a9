"""Phases of a subscription schedule, said again: what a phase leaves out, Stripe unsets."""

from __future__ import annotations

from typing import Any

from billing.stripe.client import Parameters

# What holds for the present phase and the one that follows. A trial is of the present one alone, and what was to be
# added to its invoice has been added. No phase names a card: it would take the place of one that is chosen meanwhile.
_KEPT = (
    "application_fee_percent", "billing_thresholds", "collection_method", "currency", "default_tax_rates",
    "description", "invoice_settings", "metadata", "on_behalf_of", "transfer_data",
)  # fmt: skip
_KEPT_OF_ITEM = ("billing_thresholds", "metadata", "tax_rates")


def present_of(schedule: Any) -> Parameters:
    """The phase that lasts now, else the first of those to come."""
    phases: list[Parameters] = schedule.to_dict()["phases"]
    current = schedule.current_phase
    return next((phase for phase in phases if current and phase["start_date"] == current.start_date), phases[0])


def repeated(phase: Parameters) -> Parameters:
    """The phase as it is, with the end of its trial."""
    items = [_item(one) | {"price": _said(one["price"]), "quantity": one["quantity"]} for one in phase["items"]]
    times = {name: phase[name] for name in ("start_date", "end_date", "trial_end")}
    return _filled({**_kept(phase), **times, "items": items})


def followed_by(phase: Parameters, *, price_id: str, quantity: int) -> Parameters:
    """A phase of `price_id` after this one, with the same discounts and taxes."""
    items = [_item(phase["items"][0]) | {"price": price_id, "quantity": quantity}]
    return {**_kept(phase), "items": items, "proration_behavior": "none"}


def _kept(phase: Parameters) -> Parameters:
    tax = phase.get("automatic_tax") or {"enabled": False}
    kept = {name: _said(phase.get(name)) for name in _KEPT}
    kept["automatic_tax"] = _filled({"enabled": tax["enabled"], "liability": _said(tax.get("liability"))})
    return _filled(kept | {"discounts": _discounts(phase)})


def _item(item: Parameters) -> Parameters:
    return _filled({name: _said(item.get(name)) for name in _KEPT_OF_ITEM} | {"discounts": _discounts(item)})


def _discounts(of: Parameters) -> list[Parameters]:
    """Each by one of the names that it has, rather the discount that is there than another redemption."""
    ways = ("discount", "promotion_code", "coupon")
    named = [next((name for name in ways if one.get(name)), "") for one in of.get("discounts") or []]
    return [{name: _said(one[name])} for name, one in zip(named, of.get("discounts") or [], strict=True) if name]


def _said(value: Any) -> Any:
    """What an answer has as a parameter: only what is set, and of an object that has one its id."""
    if isinstance(value, list):
        return [_said(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return value["id"] if "object" in value else _filled({name: _said(entry) for name, entry in value.items()})


def _filled(values: Parameters) -> Parameters:
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}
