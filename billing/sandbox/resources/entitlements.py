"""Features, the products that have them, and what each customer is therefore entitled to."""

from __future__ import annotations

import hashlib

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, listing, new_id

_LIVING = ("active", "trialing", "past_due")


def create_feature(account: Account, params: Params) -> Document:
    p.known(params, "name", "lookup_key", "metadata")
    key = p.required(params, "lookup_key")
    if account.store.all("entitlements.feature", lambda one: one["lookup_key"] == key):
        raise invalid("A feature with this lookup key already exists.", param="lookup_key")
    return account.create(
        {
            "id": new_id("feat"),
            "object": "entitlements.feature",
            "lookup_key": key,
            "metadata": params.get("metadata") or {},
            "name": p.required(params, "name"),
        }
    )


def retrieve_feature(account: Account, _params: Params, feature_id: str) -> Document:
    return account.store.get("entitlements.feature", feature_id)


def list_features(account: Account, params: Params) -> Document:
    p.known(params, "lookup_key", "archived", "limit", "starting_after", "ending_before")
    return account.store.page(
        "entitlements.feature",
        params,
        url="/v1/entitlements/features",
        where=lambda one: params.get("lookup_key") in (None, one["lookup_key"]),
    )


def give_product(account: Account, params: Params, product_id: str) -> Document:
    """The product has this feature from now on."""
    p.known(params, "entitlement_feature")
    product = account.store.get("product", product_id)
    feature = account.store.get("entitlements.feature", p.required(params, "entitlement_feature"))
    made = account.create({"id": new_id("prodft"), "object": "product_feature", "entitlement_feature": feature})
    account.store.insert({"id": f"of_{made['id']}", "object": "feature_of_product", "product": product["id"]})
    return made


def product_features(account: Account, params: Params, product_id: str) -> Document:
    p.known(params, "limit", "starting_after", "ending_before")
    return listing(_of_product(account, product_id), params, url=f"/v1/products/{product_id}/features")


def _of_product(account: Account, product_id: str) -> list[Document]:
    links = account.store.all("feature_of_product", lambda one: one["product"] == product_id)
    return [account.store.get("product_feature", link["id"].removeprefix("of_")) for link in links]


def active(account: Account, params: Params) -> Document:
    """One for every feature of every product the customer pays for or tries."""
    p.known(params, "customer", "limit", "starting_after", "ending_before")
    customer = p.required(params, "customer")
    living = account.store.all("subscription", lambda one: one["status"] in _LIVING, customer=customer)
    products = {entry["price"]["product"] for one in living for entry in one["items"]["data"]}
    features = {
        made["entitlement_feature"]["id"]: made["entitlement_feature"]
        for product in sorted(products)
        for made in _of_product(account, product)
    }
    found = [
        {
            "id": "ent_" + hashlib.sha256(f"{customer} {feature_id}".encode()).hexdigest()[:24],
            "object": "entitlements.active_entitlement",
            "feature": feature_id,
            "livemode": False,
            "lookup_key": feature["lookup_key"],
        }
        for feature_id, feature in features.items()
    ]
    return listing(found, params, url="/v1/entitlements/active_entitlements")
