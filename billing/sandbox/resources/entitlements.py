"""Features, the products that have them, and what each customer is therefore entitled to."""

from __future__ import annotations

import hashlib

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid, missing
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


def remove_from_product(account: Account, _params: Params, _product_id: str, made_id: str) -> Document:
    account.store.remove(account.store.get("feature_of_product", f"of_{made_id}"))
    account.store.remove(account.store.get("product_feature", made_id))
    return {"id": made_id, "object": "product_feature", "deleted": True}


def retrieve_product_feature(account: Account, _params: Params, _product_id: str, made_id: str) -> Document:
    return account.store.get("product_feature", made_id)


def update_feature(account: Account, params: Params, feature_id: str) -> Document:
    """Rename it, or archive it: `active=false` keeps it for those who have it."""
    p.known(params, "name", "metadata", "active")
    feature = account.store.get("entitlements.feature", feature_id)
    changes: Document = {"metadata": p.merged(feature["metadata"], params.get("metadata"))}
    if "name" in params:
        changes["name"] = params["name"]
    if "active" in params:
        changes["active"] = p.boolean(params["active"])
    return account.update(feature, **changes)


def active(account: Account, params: Params) -> Document:
    p.known(params, "customer", "limit", "starting_after", "ending_before")
    found = of_customer(account, p.required(params, "customer"))
    return listing(found, params, url="/v1/entitlements/active_entitlements")


def retrieve_active(account: Account, _params: Params, entitlement_id: str) -> Document:
    for customer in account.store.all("customer", lambda one: not one.get("deleted")):
        for entitlement in of_customer(account, customer["id"]):
            if entitlement["id"] == entitlement_id:
                return entitlement
    raise missing("entitlements.active_entitlement", entitlement_id)


def hear(account: Account, kind: str, document: Document) -> None:
    """After an event of a subscription: tell what its customer is entitled to now, if it is something else."""
    if not kind.startswith("customer.subscription.") or not account.store.has("product_feature"):
        return
    customer = document["customer"]
    known = account.store.find("told_entitlements", f"told_{customer}")
    before, after = (known["entitlements"] if known else []), of_customer(account, customer)
    if {one["id"] for one in before} == {one["id"] for one in after}:
        return
    kept = {"id": f"told_{customer}", "object": "told_entitlements", "entitlements": after}
    account.store.save(kept) if known else account.store.insert(kept)
    told = {
        "object": "entitlements.active_entitlement_summary",
        "customer": customer,
        "entitlements": _summary(customer, after),
        "livemode": False,
    }
    previous = {"entitlements": _summary(customer, before)}
    account.events.emit("entitlements.active_entitlement_summary.updated", told, previous=previous)


def _summary(customer: str, found: list[Document]) -> Document:
    return listing(found[:10], {}, url=f"/v1/customers/{customer}/entitlements")


def of_customer(account: Account, customer: str) -> list[Document]:
    """One for every feature of every product the customer pays for or tries."""
    if not account.store.has("product_feature"):
        return []
    living = account.store.all("subscription", lambda one: one["status"] in _LIVING, customer=customer)
    products = {entry["price"]["product"] for one in living for entry in one["items"]["data"]}
    features = {
        made["entitlement_feature"]["id"]: made["entitlement_feature"]
        for product in sorted(products)
        for made in _of_product(account, product)
    }
    return [
        {
            "id": "ent_" + hashlib.sha256(f"{customer} {feature_id}".encode()).hexdigest()[:24],
            "object": "entitlements.active_entitlement",
            "feature": feature_id,
            "livemode": False,
            "lookup_key": feature["lookup_key"],
        }
        for feature_id, feature in features.items()
    ]
