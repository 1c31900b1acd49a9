"""Test clocks: a time of its own for the customers that are made for it, which stands still until it is advanced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id

CLOCK = "test_helpers.test_clock"
LONGEST_STEP = 2 * 366 * 86_400


def of(account: Account, document: Document) -> str:
    """The id of the clock that an object goes by; empty when that is the account's time."""
    if document["object"] == CLOCK:
        return str(document["id"])
    if "test_clock" in document:
        return str(document["test_clock"] or "")
    if charge := account.store.find("charge", document.get("charge")):
        document = charge
    customer = document.get("customer")
    owner = account.store.find("customer", customer) if isinstance(customer, str) else None
    return str((owner or {}).get("test_clock") or "")


@contextmanager
def time_of(account: Account, object_ids: Iterator[str]) -> Iterator[None]:
    """Everything inside happens at the time of the clock that the first of these objects that has one goes by."""
    clock = _clock_of(account, object_ids)
    if clock is None:
        yield
    else:
        with account.store.at(clock["frozen_time"], is_apart=True):
            yield


def _clock_of(account: Account, object_ids: Iterator[str]) -> Document | None:
    if not account.store.has(CLOCK):
        return None
    for object_id in object_ids:
        found = account.store.find_any(object_id)
        if found and (clock := account.store.find(CLOCK, of(account, found))):
            return clock
    return None


def create(account: Account, params: Params) -> Document:
    p.known(params, "frozen_time", "name")
    moment = p.integer(p.required(params, "frozen_time"), param="frozen_time")
    clock: Document = {
        "id": new_id("clock"),
        "object": CLOCK,
        "created": account.now(),
        "deletes_after": account.now() + 30 * 86_400,
        "frozen_time": moment,
        "name": params.get("name"),
        "status": "ready",
        "status_details": {},
    }
    return account.create(clock, event="test_helpers.test_clock.created")


def retrieve(account: Account, _params: Params, clock_id: str) -> Document:
    return account.store.get(CLOCK, clock_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "limit", "starting_after", "ending_before")
    return account.store.page(CLOCK, params, url="/v1/test_helpers/test_clocks")


def advance(account: Account, params: Params, clock_id: str) -> Document:
    """Let time pass until `frozen_time`; everything that falls due has happened when this answers."""
    from billing.sandbox.clock import move

    p.known(params, "frozen_time")
    clock = account.store.get(CLOCK, clock_id)
    moment = p.integer(p.required(params, "frozen_time"), param="frozen_time")
    if moment <= clock["frozen_time"]:
        raise invalid("The new frozen time must be after the current one.", param="frozen_time")
    if moment - clock["frozen_time"] > LONGEST_STEP:
        raise invalid("A test clock can be advanced by at most two years at a time.", param="frozen_time")
    account.events.emit("test_helpers.test_clock.advancing", {**clock, "status": "advancing"})
    move(account, moment, clock=clock_id)
    return account.update(clock, event="test_helpers.test_clock.ready", frozen_time=moment)


def delete(account: Account, _params: Params, clock_id: str) -> Document:
    """The clock, and the customers that were made for it with it."""
    from billing.sandbox.resources import customers

    clock = account.store.get(CLOCK, clock_id)
    for customer in account.store.all("customer", lambda one: one.get("test_clock") == clock_id):
        customers.delete(account, {}, customer["id"])
    account.store.remove(clock)
    account.events.emit("test_helpers.test_clock.deleted", clock)
    return {"id": clock_id, "object": CLOCK, "deleted": True}
