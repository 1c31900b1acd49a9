"""Push plans and prices to Stripe. The lookup key joins both sides; ids and amounts never stand in code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from billing import stripe
from billing.models import Plan, Price


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that Stripe has otherwise than we do."""

    what: str
    why: str


def sync(*, dry_run: bool = False, plans: list[Plan] | None = None) -> list[Difference]:
    """Make Stripe's products and prices equal to the plans here; returns what differed. Running it again finds nothing.

    An amount cannot change at Stripe: a new price takes over the lookup key; who pays the old one goes on paying it.
    """
    paid = plans if plans is not None else list(Plan.objects.offered().exclude(key="free"))
    prices = list(Price.objects.offered().filter(plan__in=paid))
    there = stripe.find_prices([price.lookup_key for price in prices])
    differences: list[Difference] = []
    for plan in paid:
        differences += _sync_product(plan, [price for price in prices if price.plan_id == plan.pk], there, dry_run)
    for price in prices:
        price.plan.refresh_from_db(fields=["stripe_product_id"])
        differences += _sync_price(price, there, dry_run)
    return differences


def ensure_at_stripe(price: Price) -> Price:
    """The price with an id at Stripe, pushed there now if it never was."""
    if not price.stripe_price_id or price.stripe_unit_amount != price.unit_amount:
        sync(plans=[price.plan])
        price.refresh_from_db()
    return price


def _sync_product(
    plan: Plan, prices: list[Price], there: dict[str, tuple[str, int, str]], dry_run: bool
) -> list[Difference]:
    known = {there[price.lookup_key][2] for price in prices if price.lookup_key in there}
    if plan.stripe_product_id in known:
        return _rename_product(plan, dry_run)
    if known and not plan.stripe_product_id:
        return _adopt_product(plan, known.pop(), dry_run)
    if not dry_run:
        metadata = {"plan": plan.key}
        key = _key("product", plan.key, plan.stripe_product_id, plan.name)
        product_id = stripe.save_product(product_id=plan.stripe_product_id, name=plan.name, metadata=metadata, key=key)
        Plan.objects.filter(pk=plan.pk).update(stripe_product_id=product_id)
    return [Difference(f"product {plan.key}", "not at Stripe")]


def _rename_product(plan: Plan, dry_run: bool) -> list[Difference]:
    """Customers read the name on Checkout and on their invoices."""
    there, changed_at = stripe.product_name(plan.stripe_product_id)
    if there == plan.name:
        return []
    if not dry_run:
        # With both versions: a name that goes back and forth within a day is a new wish each time, whoever changed it.
        key = _key("product", plan.stripe_product_id, there, str(changed_at), plan.name, str(plan.version))
        metadata = {"plan": plan.key}
        stripe.save_product(product_id=plan.stripe_product_id, name=plan.name, metadata=metadata, key=key)
    return [Difference(f"product {plan.key}", f"called {there} at Stripe")]


def _adopt_product(plan: Plan, product_id: str, dry_run: bool) -> list[Difference]:
    """A database that was set up anew meets the products it made before."""
    if not dry_run:
        Plan.objects.filter(pk=plan.pk).update(stripe_product_id=product_id)
    return [Difference(f"product {plan.key}", "known at Stripe but not here")]


def _sync_price(price: Price, there: dict[str, tuple[str, int, str]], dry_run: bool) -> list[Difference]:
    price_id, amount, product_id = there.get(price.lookup_key, ("", 0, ""))
    is_right = amount == price.unit_amount and product_id == price.plan.stripe_product_id
    if is_right and price.stripe_price_id == price_id and price.stripe_unit_amount == amount:
        return []
    if not dry_run:
        if not is_right:
            new_id = _create_price(price, replaces=price_id)
            if price_id:
                stripe.retire_price(price_id, key=_key("retire", price_id))
            price_id = new_id
        Price.objects.filter(pk=price.pk).update(stripe_price_id=price_id, stripe_unit_amount=price.unit_amount)
    why = "known at Stripe but not here" if is_right else f"{amount} at Stripe" if amount else "not at Stripe"
    return [Difference(f"price {price.lookup_key} {price.unit_amount}", why)]


def _create_price(price: Price, *, replaces: str) -> str:
    parameters = {
        "product": price.plan.stripe_product_id,
        "currency": price.currency,
        "unit_amount": price.unit_amount,
        "recurring": {"interval": price.interval},
        "lookup_key": price.lookup_key,
        "transfer_lookup_key": True,
        "metadata": {"plan": price.plan_id},
    }
    key = _key("price", price.lookup_key, str(price.unit_amount), price.plan.stripe_product_id, replaces)
    return stripe.create_price(parameters, key=key)


def _key(*parts: str) -> str:
    return "catalogue:" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]
