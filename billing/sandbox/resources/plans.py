"""Plans, the older way to say a recurring price; what is not on sale here any more but still in use elsewhere."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.params import Params
from billing.sandbox.resources import catalogue
from billing.sandbox.store import Document, new_id


def create(account: Account, params: Params) -> Document:
    """A plan, with the product it names or describes."""
    p.known(params, "id", "amount", "currency", "interval", "interval_count", "product", "nickname", "metadata")
    product = p.required(params, "product")
    if isinstance(product, dict):
        product = catalogue.create_product(account, product)["id"]
    amount = p.amount(params, "amount")
    plan = {
        "id": params.get("id") or new_id("plan"),
        "object": "plan",
        "amount": amount,
        "amount_decimal": str(amount),
        "created": account.now(),
        "currency": p.required(params, "currency").lower(),
        "interval": p.required(params, "interval"),
        "interval_count": p.integer(params.get("interval_count"), param="interval_count", default=1),
        "metadata": params.get("metadata") or {},
        "nickname": params.get("nickname"),
        "product": product,
    }
    return account.create(plan, event="plan.created")


def retrieve(account: Account, _params: Params, plan_id: str) -> Document:
    return account.store.get("plan", plan_id)


def update(account: Account, params: Params, plan_id: str) -> Document:
    p.known(params, "metadata", "nickname", "active")
    plan = account.store.get("plan", plan_id)
    metadata = p.merged(plan["metadata"], params.get("metadata"))
    nickname = params.get("nickname", plan["nickname"])
    return account.update(plan, event="plan.updated", metadata=metadata, nickname=nickname)


def delete(account: Account, _params: Params, plan_id: str) -> Document:
    plan = account.store.get("plan", plan_id)
    account.store.remove(plan)
    account.events.emit("plan.deleted", plan)
    return {"id": plan_id, "object": "plan", "deleted": True}


def listed(account: Account, params: Params) -> Document:
    p.known(params, "active", "product", "created", "limit", "starting_after", "ending_before")
    return account.store.page("plan", params, url="/v1/plans")
