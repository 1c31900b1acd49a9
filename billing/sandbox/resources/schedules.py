"""Subscription schedules: what a subscription becomes when its period ends."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id


def create(account: Account, params: Params) -> Document:
    p.known(params, "from_subscription", "metadata")
    subscription = account.store.get("subscription", p.required(params, "from_subscription"))
    if subscription["schedule"]:
        raise invalid("The subscription already has a schedule attached.", param="from_subscription")
    item = subscription["items"]["data"][0]
    now = account.now()
    schedule = {
        "id": new_id("sub_sched"),
        "object": "subscription_schedule",
        "created": now,
        "current_phase": {"start_date": item["current_period_start"], "end_date": item["current_period_end"]},
        "customer": subscription["customer"],
        "end_behavior": "release",
        "metadata": params.get("metadata") or {},
        "phases": [
            _phase(
                item["price"]["id"], item["quantity"], item["current_period_start"], item["current_period_end"],
                subscription["currency"],
            )
        ],
        "status": "active",
        "subscription": subscription["id"],
    }  # fmt: skip
    schedule = account.store.insert(schedule)
    account.update(subscription, event="customer.subscription.updated", schedule=schedule["id"])
    account.events.emit("subscription_schedule.created", schedule)
    return schedule


def _phase(price: str, quantity: int, start: int, end: int, currency: str) -> Document:
    item = {"price": price, "plan": price, "quantity": quantity, "billing_thresholds": None}
    return {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": None,
        "billing_thresholds": None,
        "collection_method": None,
        "currency": currency,
        "default_payment_method": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "end_date": end,
        "invoice_settings": None,
        "items": [{**item, "discounts": [], "metadata": {}, "tax_rates": []}],
        "metadata": {},
        "on_behalf_of": None,
        "proration_behavior": "none",
        "start_date": start,
        "transfer_data": None,
        "trial_end": None,
    }


def retrieve(account: Account, _params: Params, schedule_id: str) -> Document:
    return account.store.get("subscription_schedule", schedule_id)


def update(account: Account, params: Params, schedule_id: str) -> Document:
    """Replace the phases; one without a start begins where the one before it ends."""
    p.known(params, "phases", "end_behavior", "metadata", "proration_behavior")
    schedule = _active(account, schedule_id)
    currency = schedule["phases"][0]["currency"]
    phases: list[Document] = []
    for given in params.get("phases") or []:
        entry = given["items"][0]
        price = account.store.get("price", p.required(entry, "price"))
        start = int(given.get("start_date") or phases[-1]["end_date"])
        end = int(given.get("end_date") or _next_end(start, price))
        phases.append(_phase(price["id"], int(entry.get("quantity", 1)), start, end, currency))
    changes = {"phases": phases} if phases else {}
    return account.update(schedule, event="subscription_schedule.updated", **changes)


def _next_end(start: int, price: Document) -> int:
    from billing.sandbox.resources.subscriptions import period_end

    return period_end(start, price["recurring"])


def release(account: Account, params: Params, schedule_id: str) -> Document:
    """Let the subscription go on as it is."""
    p.known(params, "preserve_cancel_date")
    schedule = _active(account, schedule_id)
    subscription = account.store.get("subscription", schedule["subscription"])
    account.update(subscription, event="customer.subscription.updated", schedule=None)
    return account.update(
        schedule,
        event="subscription_schedule.released",
        status="released",
        released_at=account.now(),
        released_subscription=subscription["id"],
        subscription=None,
    )


def _active(account: Account, schedule_id: str) -> Document:
    schedule = account.store.get("subscription_schedule", schedule_id)
    if schedule["status"] not in ("active", "not_started"):
        raise invalid("You cannot update a subscription schedule that is not active.")
    return schedule


def terms_from(account: Account, subscription: Document, start: int) -> tuple[str, int, str | None]:
    """(price, quantity, schedule) of the period that begins at `start`: of the phase that begins there, if any.

    Empty and 0 mean: as before. A schedule without further phases is released, and the subscription goes on.
    """
    schedule = account.store.find("subscription_schedule", subscription["schedule"])
    if schedule is None or schedule["status"] != "active":
        return "", 0, subscription["schedule"]
    phase = next((one for one in schedule["phases"] if one["start_date"] <= start < one["end_date"]), None)
    last = schedule["phases"][-1]
    if phase is None or phase is last:
        _finish(account, schedule)
    else:
        current = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
        account.update(schedule, event="subscription_schedule.updated", current_phase=current)
    entry = (phase or last)["items"][0]
    return entry["price"], entry["quantity"], None if phase is None or phase is last else schedule["id"]


def _finish(account: Account, schedule: Document) -> None:
    account.update(
        schedule,
        event="subscription_schedule.released",
        status="released",
        released_at=account.now(),
        released_subscription=schedule["subscription"],
        subscription=None,
    )
