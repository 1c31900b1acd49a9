"""Subscription schedules: what a subscription becomes when its period ends."""

from __future__ import annotations

from collections.abc import Iterator

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import customers
from billing.sandbox.resources.periods import period_end
from billing.sandbox.store import Document, new_id


def create(account: Account, params: Params) -> Document:
    """From a subscription, or for a customer with phases of its own, of which the first may begin later."""
    p.known(params, "from_subscription", "metadata", "customer", "start_date", "phases", "end_behavior")
    if "from_subscription" in params:
        return _from_subscription(account, params)
    customer = customers.existing(account, p.required(params, "customer"))
    now = account.now()
    begins = p.required(params, "start_date")
    start = now if begins == "now" else int(begins)
    phases = _phases(account, params.get("phases") or [], start=start)
    schedule = _schedule(account, params, customer=customer["id"], phases=phases)
    if start > now:
        return account.create({**schedule, "status": "not_started"}, event="subscription_schedule.created")
    schedule = account.create(schedule, event="subscription_schedule.created")
    return _start(account, schedule)


def _start(account: Account, schedule: Document) -> Document:
    """Subscribe the customer to the first phase."""
    first = schedule["phases"][0]
    entry = first["items"][0]
    given: Params = {
        "customer": schedule["customer"],
        "items": [{"price": entry["price"], "quantity": entry["quantity"]}],
    }
    from billing.sandbox.resources import subscriptions

    subscription = subscriptions.create(account, given)
    account.update(subscription, event="customer.subscription.updated", schedule=schedule["id"])
    current = {"start_date": first["start_date"], "end_date": first["end_date"]}
    return account.update(schedule, status="active", subscription=subscription["id"], current_phase=current)


def due_times(schedule: Document) -> Iterator[int]:
    """When a schedule that was made for later begins."""
    if schedule["status"] == "not_started":
        yield schedule["phases"][0]["start_date"]


def turn(account: Account, schedule: Document) -> None:
    _start(account, schedule)


def _schedule(account: Account, params: Params, *, customer: str, phases: list[Document]) -> Document:
    return {
        "id": new_id("sub_sched"),
        "object": "subscription_schedule",
        "created": account.now(),
        "customer": customer,
        "end_behavior": params.get("end_behavior") or "release",
        "metadata": params.get("metadata") or {},
        "phases": phases,
        "test_clock": account.store.get("customer", customer)["test_clock"],
    }


def _from_subscription(account: Account, params: Params) -> Document:
    subscription = account.store.get("subscription", params["from_subscription"])
    if subscription["schedule"]:
        raise invalid("The subscription already has a schedule attached.", param="from_subscription")
    item = subscription["items"]["data"][0]
    start, end = item["current_period_start"], item["current_period_end"]
    phase = _phase(item["price"]["id"], item["quantity"], start, end, subscription["currency"])
    schedule = _schedule(account, params, customer=subscription["customer"], phases=[phase])
    current = {"start_date": start, "end_date": end}
    schedule = account.store.insert({**schedule, "current_phase": current, "subscription": subscription["id"]})
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


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "scheduled", "created", "limit", "starting_after", "ending_before")
    url = "/v1/subscription_schedules"
    return account.store.page("subscription_schedule", params, url=url, customer=params.get("customer"))


def update(account: Account, params: Params, schedule_id: str) -> Document:
    """Replace the phases; one without a start begins where the one before it ends."""
    p.known(params, "phases", "end_behavior", "metadata", "proration_behavior")
    schedule = _active(account, schedule_id)
    changes: Document = {"metadata": p.merged(schedule["metadata"], params.get("metadata"))}
    if params.get("phases"):
        changes["phases"] = _phases(account, params["phases"], start=schedule["phases"][0]["start_date"])
    if params.get("end_behavior"):
        changes["end_behavior"] = params["end_behavior"]
    return account.update(schedule, event="subscription_schedule.updated", **changes)


def _phases(account: Account, given: list[Params], *, start: int) -> list[Document]:
    phases: list[Document] = []
    for one in given:
        entry = p.required(one, "items")[0]
        price = account.store.get("price", p.required(entry, "price"))
        begins = int(one.get("start_date") or (phases[-1]["end_date"] if phases else start))
        times = p.integer(one.get("iterations"), param="iterations", default=1)
        ends = int(one.get("end_date") or period_end(begins, price["recurring"], count=times))
        phases.append(_phase(price["id"], int(entry.get("quantity", 1)), begins, ends, price["currency"]))
    return phases


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


def cancel(account: Account, params: Params, schedule_id: str) -> Document:
    """End the schedule, and its subscription with it."""
    from billing.sandbox.resources import subscriptions

    p.known(params, "invoice_now", "prorate")
    schedule = _active(account, schedule_id)
    subscription = account.store.find("subscription", schedule["subscription"])
    if subscription and subscription["status"] not in subscriptions.ENDED:
        subscriptions.end(account, subscription, reason="cancellation_requested")
    changes = {"status": "canceled", "canceled_at": account.now(), "current_phase": None}
    canceled = account.update(schedule, event="subscription_schedule.canceled", **changes)
    if subscription is None:
        account.events.emit("subscription_schedule.aborted", canceled)
    return canceled


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
