"""Products and prices."""

from __future__ import annotations

from decimal import Decimal

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id


def create_product(account: Account, params: Params) -> Document:
    p.known(params, "id", "name", "description", "active", "metadata", "images", "tax_code", "unit_label", "url")
    now = account.now()
    product = {
        "id": params.get("id") or new_id("prod"),
        "object": "product",
        "active": p.boolean(params.get("active"), default=True),
        "created": now,
        "description": params.get("description"),
        "images": params.get("images") or [],
        "metadata": params.get("metadata") or {},
        "name": p.required(params, "name"),
        "tax_code": params.get("tax_code"),
        "unit_label": params.get("unit_label"),
        "updated": now,
        "url": params.get("url"),
    }
    return account.create(product, event="product.created")


def retrieve_product(account: Account, _params: Params, product_id: str) -> Document:
    return account.store.get("product", product_id)


def update_product(account: Account, params: Params, product_id: str) -> Document:
    p.known(params, "name", "description", "active", "metadata", "images", "tax_code", "unit_label", "url")
    product = account.store.get("product", product_id)
    changes = {name: value for name, value in params.items() if name != "expand"}
    if "metadata" in changes:
        changes["metadata"] = p.merged(product["metadata"], changes["metadata"])
    changes["updated"] = account.now()
    if "active" in changes:
        changes["active"] = p.boolean(changes["active"])
    return account.update(product, event="product.updated", **changes)


def delete_product(account: Account, _params: Params, product_id: str) -> Document:
    product = account.store.get("product", product_id)
    if account.store.all("price", lambda price: price["product"] == product_id):
        raise invalid("This product cannot be deleted because it has one or more prices.")
    account.store.remove(product)
    account.events.emit("product.deleted", product)
    return {"id": product_id, "object": "product", "deleted": True}


def list_products(account: Account, params: Params) -> Document:
    p.known(params, "active", "ids", "created", "limit", "starting_after", "ending_before")

    def is_wanted(product: Document) -> bool:
        is_active = "active" not in params or product["active"] == p.boolean(params["active"])
        return is_active and product["id"] in (params.get("ids") or [product["id"]])

    return account.store.page("product", params, url="/v1/products", where=is_wanted)


def create_price(account: Account, params: Params) -> Document:
    p.known(
        params, "product", "currency", "unit_amount", "recurring", "lookup_key", "transfer_lookup_key", "metadata",
        "nickname", "active", "tax_behavior", "currency_options", "product_data", "billing_scheme",
    )  # fmt: skip
    amount = p.integer(p.required(params, "unit_amount"), param="unit_amount")
    recurring = params.get("recurring")
    price = {
        "id": new_id("price"),
        "object": "price",
        "active": p.boolean(params.get("active"), default=True),
        "billing_scheme": "per_unit",
        "created": account.now(),
        "currency": p.required(params, "currency").lower(),
        "lookup_key": params.get("lookup_key"),
        "metadata": params.get("metadata") or {},
        "nickname": params.get("nickname"),
        "product": account.store.get("product", p.required(params, "product"))["id"],
        "recurring": recurring and _recurring(account, recurring),
        "tax_behavior": params.get("tax_behavior") or "unspecified",
        "type": "recurring" if recurring else "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(Decimal(amount)),
    }
    if key := price["lookup_key"]:
        _take_lookup_key(account, key, may_transfer=p.boolean(params.get("transfer_lookup_key")))
    _keep_options(account, price["id"], params.get("currency_options") or {})
    return account.create(price, event="price.created")


def _keep_options(account: Account, price_id: str, given: Params) -> None:
    """What a price costs in other currencies, which an answer says only when it is asked."""
    if not given:
        return
    amounts = {currency.lower(): p.amount(option, "unit_amount") for currency, option in given.items()}
    options_id = f"options_{price_id}"
    if known := account.store.find("currency_options", options_id):
        account.store.save({**known, "amounts": {**known["amounts"], **amounts}})
    else:
        account.store.insert({"id": options_id, "object": "currency_options", "amounts": amounts})


def currency_options(account: Account, price: Document) -> Document:
    """The price in its own currency and in all others that it has."""
    known = account.store.find("currency_options", f"options_{price['id']}")
    amounts = {price["currency"]: price["unit_amount"], **(known["amounts"] if known else {})}
    common = {"custom_unit_amount": None, "tax_behavior": price["tax_behavior"]}
    return {
        currency: {**common, "unit_amount": amount, "unit_amount_decimal": None if amount is None else str(amount)}
        for currency, amount in amounts.items()
    }


def in_currency(account: Account, price: Document, currency: str | None) -> Document:
    """The price as somebody pays it who pays in this currency. Raises when it has none such."""
    if not currency or currency == price["currency"]:
        return price
    option = currency_options(account, price).get(currency)
    if option is None:
        raise invalid(f"The price specified only supports `{price['currency']}`. This doesn't match: `{currency}`.")
    return {**price, "currency": currency, **{name: option[name] for name in ("unit_amount", "unit_amount_decimal")}}


def _recurring(account: Account, given: Params) -> Document:
    interval = given.get("interval")
    if interval not in ("day", "week", "month", "year"):
        raise invalid(
            "Invalid recurring[interval]: must be one of day, week, month, or year", param="recurring[interval]"
        )
    meter = given.get("meter")
    if given.get("usage_type") == "metered" and not account.store.find("billing.meter", meter):
        raise invalid("A metered price needs the meter that counts its usage.", param="recurring[meter]")
    count = p.integer(given.get("interval_count"), param="recurring[interval_count]", default=1)
    return {
        "interval": interval,
        "interval_count": count,
        "meter": meter,
        "trial_period_days": None,
        "usage_type": given.get("usage_type") or "licensed",
    }


def _take_lookup_key(account: Account, key: str, *, may_transfer: bool) -> None:
    for holder in account.store.all("price", lambda price: price["lookup_key"] == key):
        if not may_transfer:
            raise invalid(f"A price already uses the lookup key `{key}`", param="lookup_key")
        account.update(holder, event="price.updated", lookup_key=None)


def retrieve_price(account: Account, _params: Params, price_id: str) -> Document:
    return account.store.get("price", price_id)


def update_price(account: Account, params: Params, price_id: str) -> Document:
    p.known(
        params,
        "active",
        "metadata",
        "nickname",
        "lookup_key",
        "transfer_lookup_key",
        "tax_behavior",
        "currency_options",
    )
    price = account.store.get("price", price_id)
    _keep_options(account, price_id, params.get("currency_options") or {})
    changes = {name: value for name, value in params.items() if name in ("nickname", "lookup_key")}
    changes["metadata"] = p.merged(price["metadata"], params.get("metadata"))
    if "active" in params:
        changes["active"] = p.boolean(params["active"])
    return account.update(price, event="price.updated", **changes)


def list_prices(account: Account, params: Params) -> Document:
    p.known(
        params,
        "active",
        "lookup_keys",
        "product",
        "type",
        "currency",
        "limit",
        "starting_after",
        "ending_before",
        "created",
    )
    keys = params.get("lookup_keys")

    def is_wanted(price: Document) -> bool:
        return (
            (keys is None or price["lookup_key"] in keys)
            and ("active" not in params or price["active"] == p.boolean(params["active"]))
            and params.get("product") in (None, price["product"])
            and params.get("currency") in (None, price["currency"])
            and params.get("type") in (None, price["type"])
        )

    return account.store.page("price", params, url="/v1/prices", where=is_wanted)


def is_metered(price: Document) -> bool:
    return bool((price["recurring"] or {}).get("usage_type") == "metered")


def plan_of(price: Document) -> Document:
    """The older object that says the same as a recurring price; subscription items carry both."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": recurring["meter"],
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": recurring["usage_type"],
    }
