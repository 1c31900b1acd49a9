"""Customers and the cards they have saved."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.params import Params
from billing.sandbox.resources import discounts
from billing.sandbox.store import Document, new_id

_FIELDS = (
    "email",
    "name",
    "description",
    "phone",
    "address",
    "metadata",
    "shipping",
    "preferred_locales",
    "tax_exempt",
)


def create(account: Account, params: Params) -> Document:
    p.known(params, *_FIELDS, "tax", "invoice_settings", "payment_method", "test_clock", "coupon", "source")
    clock = params.get("test_clock")
    customer: Document = {
        "id": new_id("cus"),
        "object": "customer",
        "created": account.now(),
        "invoice_prefix": new_id("X")[2:10].upper(),
        "test_clock": account.store.get("test_helpers.test_clock", clock)["id"] if clock else None,
        **{name: params[name] for name in _FIELDS if name in params},
    }
    customer = account.create(customer, event="customer.created")
    if name := params.get("payment_method") or params.get("source"):
        customer = _save_card(account, customer, name, is_default="source" in params or "invoice_settings" in params)
    if params.get("coupon"):
        customer = _set_coupon(account, customer, params["coupon"])
    return customer


def _save_card(account: Account, customer: Document, name: str, *, is_default: bool) -> Document:
    from billing.sandbox.resources import cards

    method = cards.attach(account, {"customer": customer["id"]}, cards.find(account, name)["id"])
    if not is_default:
        return customer
    settings = {**customer["invoice_settings"], "default_payment_method": method["id"]}
    return account.update(customer, invoice_settings=settings)


def _set_coupon(account: Account, customer: Document, coupon: str) -> Document:
    """What only versions before 2025 take; Stripe's command line still sends it."""
    return account.update(customer, discount=discounts.set_on_customer(account, customer, coupon))


def retrieve(account: Account, _params: Params, customer_id: str) -> Document:
    return account.store.get("customer", customer_id)


def update(account: Account, params: Params, customer_id: str) -> Document:
    p.known(params, *_FIELDS, "invoice_settings", "tax", "coupon")
    customer = existing(account, customer_id)
    changes = {name: params[name] for name in _FIELDS if name in params}
    if "metadata" in changes:
        changes["metadata"] = p.merged(customer["metadata"], changes["metadata"])
    if "default_payment_method" in (given := params.get("invoice_settings") or {}):
        default = given["default_payment_method"] or None
        changes["invoice_settings"] = {**customer["invoice_settings"], "default_payment_method": default}
    if "coupon" in params:
        changes["discount"] = discounts.set_on_customer(account, customer, params["coupon"])
    return account.update(customer, event="customer.updated", **changes)


def delete(account: Account, _params: Params, customer_id: str) -> Document:
    """Ends its subscriptions at once; what stays says that it was deleted."""
    from billing.sandbox.resources import subscriptions

    customer = existing(account, customer_id)
    for subscription in account.store.all("subscription", customer=customer_id):
        if subscription["status"] not in subscriptions.ENDED:
            subscriptions.end(account, subscription, reason="cancellation_requested")
    tombstone = {"id": customer_id, "object": "customer", "deleted": True}
    account.store.save(tombstone)
    account.events.emit("customer.deleted", customer)
    return tombstone


def listed(account: Account, params: Params) -> Document:
    p.known(params, "email", "created", "limit", "starting_after", "ending_before")

    def is_wanted(customer: Document) -> bool:
        if customer.get("deleted"):
            return False
        return params.get("email") in (None, customer["email"])

    return account.store.page("customer", params, url="/v1/customers", where=is_wanted)


def existing(account: Account, customer_id: str) -> Document:
    """A customer that is not deleted."""
    from billing.sandbox.errors import missing

    customer = account.store.get("customer", customer_id)
    if customer.get("deleted"):
        raise missing("customer", customer_id)
    return customer
