"""Products and prices at Stripe."""

from __future__ import annotations

from typing import Any

from billing.stripe.client import Parameters, StripeRefused, api, asked, pages, untyped
from billing.stripe.facts import id_of


def save_product(*, product_id: str, name: str, metadata: dict[str, str], key: str) -> str:
    """The product of a plan, created when `product_id` is empty or gone."""
    products = api().products
    values: Any = {"name": name, "metadata": metadata, "active": True}
    if product_id:
        try:
            return str(asked(products.update)(product_id, values, {"idempotency_key": key}).id)
        except StripeRefused as refused:
            if not refused.is_missing:
                raise
    return str(asked(products.create)(values, {"idempotency_key": f"{key}:new"}).id)


def product_name(product_id: str) -> tuple[str, int]:
    """What it is called, and when it was last changed, in seconds since 1970."""
    product = asked(api().products.retrieve)(product_id)
    return str(product.name), int(product.updated)


def find_prices(lookup_keys: list[str]) -> dict[str, tuple[str, int, str]]:
    """Active prices by lookup key: (id, amount, product)."""
    found: dict[str, tuple[str, int, str]] = {}
    for start in range(0, len(lookup_keys), 10):
        wanted = {"lookup_keys": lookup_keys[start : start + 10], "active": True, "limit": 100}
        for price in pages(api().prices.list, wanted):
            found[price.lookup_key] = (price.id, price.unit_amount, id_of(price.product))
    return found


def create_price(parameters: Parameters, *, key: str) -> str:
    return str(asked(api().prices.create)(untyped(parameters), {"idempotency_key": key}).id)


def retire_price(price_id: str, *, key: str) -> None:
    asked(api().prices.update)(price_id, {"active": False}, {"idempotency_key": key})
