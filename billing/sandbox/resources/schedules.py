"""Subscription schedules: what a subscription becomes when its period ends."""

from __future__ import annotations

from collections.abc import Iterator

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.resources import customers, phases
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
    planned = phases.given(account, params.get("phases") or [], start=start)
    schedule = _schedule(account, params, customer=customer["id"], planned=planned)
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
    """When a schedule that was made for later begins, and when the last phase of one that goes on is over."""
    if schedule["status"] == "not_started":
        yield schedule["phases"][0]["start_date"]
    elif schedule["status"] == "active":
        yield schedule["phases"][-1]["end_date"]


def turn(account: Account, schedule: Document) -> None:
    from billing.sandbox.resources import subscriptions

    if schedule["status"] == "not_started":
        _start(account, schedule)
        return
    subscription = account.store.find("subscription", schedule["subscription"])
    if subscription is None or subscription["status"] in subscriptions.ENDED:
        changes = {"status": "canceled", "canceled_at": account.now(), "current_phase": None}
        account.update(schedule, event="subscription_schedule.canceled", **changes)
        return
    account.update(subscription, event="customer.subscription.updated", schedule=None)
    _finish(account, schedule)


def _schedule(account: Account, params: Params, *, customer: str, planned: list[Document]) -> Document:
    return {
        "id": new_id("sub_sched"),
        "object": "subscription_schedule",
        "created": account.now(),
        "customer": customer,
        "end_behavior": params.get("end_behavior") or "release",
        "metadata": params.get("metadata") or {},
        "phases": planned,
        "test_clock": account.store.get("customer", customer)["test_clock"],
    }


def _from_subscription(account: Account, params: Params) -> Document:
    subscription = account.store.get("subscription", params["from_subscription"])
    if subscription["schedule"]:
        raise invalid("The subscription already has a schedule attached.", param="from_subscription")
    phase = phases.of_subscription(subscription)
    schedule = _schedule(account, params, customer=subscription["customer"], planned=[phase])
    current = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
    schedule = account.store.insert({**schedule, "current_phase": current, "subscription": subscription["id"]})
    account.update(subscription, event="customer.subscription.updated", schedule=schedule["id"])
    account.events.emit("subscription_schedule.created", schedule)
    return schedule


def retrieve(account: Account, _params: Params, schedule_id: str) -> Document:
    return account.store.get("subscription_schedule", schedule_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "customer", "scheduled", "created", "limit", "starting_after", "ending_before")
    url = "/v1/subscription_schedules"
    return account.store.page("subscription_schedule", params, url=url, customer=params.get("customer"))


def update(account: Account, params: Params, schedule_id: str) -> Document:
    """Replace the phases from the present one on, which begins when it began; one without a start begins where the one
    before it ends. The present one holds at once, with what it leaves out unset."""
    p.known(params, "phases", "end_behavior", "metadata", "proration_behavior")
    schedule = _active(account, schedule_id)
    changes: Document = {"metadata": p.merged(schedule["metadata"], params.get("metadata"))}
    if params.get("end_behavior"):
        changes["end_behavior"] = params["end_behavior"]
    current, given = schedule["current_phase"], []
    if params.get("phases"):
        start = (current or schedule["phases"][0])["start_date"]
        given = changes["phases"] = phases.given(account, params["phases"], start=start)
        if current and given[0]["start_date"] != start:
            raise invalid("You can not modify the start date of the current phase.", param="phases[0][start_date]")
    if current and given:
        changes["current_phase"] = {name: given[0][name] for name in ("start_date", "end_date")}
    schedule = account.update(schedule, event="subscription_schedule.updated", **changes)
    if current and given:
        _begin_anew(account, schedule)
    return account.store.get("subscription_schedule", schedule_id)


def _begin_anew(account: Account, schedule: Document) -> None:
    """The present phase holds as it is now."""
    from billing.sandbox.resources import subscription_changes

    present = schedule["phases"][0]
    subscription = account.store.get("subscription", schedule["subscription"])
    subscription = phases.begin(account, subscription, present)
    account.store.save(schedule)  # with the discounts that it has redeemed
    if subscription["status"] == "trialing" and not present["trial_end"]:
        subscription_changes.end_trial(account, subscription)


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


def phase_from(account: Account, subscription: Document, start: int) -> Document | None:
    """The phase that the period beginning at `start` is, if the subscription is scheduled; the schedule knows then."""
    schedule = account.store.find("subscription_schedule", subscription["schedule"])
    if schedule is None or schedule["status"] != "active":
        return None
    phase = next((one for one in schedule["phases"] if one["start_date"] <= start < one["end_date"]), None)
    if phase:
        current = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
        account.update(schedule, event="subscription_schedule.updated", current_phase=current)
    return phase


def _finish(account: Account, schedule: Document) -> None:
    account.update(
        schedule,
        event="subscription_schedule.released",
        status="released",
        released_at=account.now(),
        released_subscription=schedule["subscription"],
        subscription=None,
    )
