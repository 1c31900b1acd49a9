"""Test clocks. Here one time holds for the whole account, so that moving any clock moves everybody's."""

from __future__ import annotations

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.params import Params
from billing.sandbox.store import Document, new_id

LONGEST_STEP = 2 * 366 * 86_400


def create(account: Account, params: Params) -> Document:
    """A clock at `frozen_time`. An account's time never goes back: a clock set in its past moves nobody."""
    p.known(params, "frozen_time", "name")
    moment = p.integer(p.required(params, "frozen_time"), param="frozen_time")
    if moment > account.now():
        _move(account, moment)
    clock: Document = {
        "id": new_id("clock"),
        "object": "test_helpers.test_clock",
        "created": account.now(),
        "deletes_after": account.now() + 30 * 86_400,
        "frozen_time": moment,
        "name": params.get("name"),
        "status": "ready",
        "status_details": {},
    }
    return account.create(clock, event="test_helpers.test_clock.created")


def retrieve(account: Account, _params: Params, clock_id: str) -> Document:
    return account.store.get("test_helpers.test_clock", clock_id)


def listed(account: Account, params: Params) -> Document:
    p.known(params, "limit", "starting_after", "ending_before")
    clocks = account.store.all("test_helpers.test_clock", lambda clock: not clock.get("deleted"))
    return account.store.page(clocks, params, url="/v1/test_helpers/test_clocks")


def advance(account: Account, params: Params, clock_id: str) -> Document:
    """Let time pass until `frozen_time`; everything that falls due has happened when this answers."""
    p.known(params, "frozen_time")
    clock = account.store.get("test_helpers.test_clock", clock_id)
    moment = p.integer(p.required(params, "frozen_time"), param="frozen_time")
    if moment <= clock["frozen_time"]:
        raise invalid("The new frozen time must be after the current one.", param="frozen_time")
    if moment - clock["frozen_time"] > LONGEST_STEP:
        raise invalid("A test clock can be advanced by at most two years at a time.", param="frozen_time")
    account.events.emit("test_helpers.test_clock.advancing", {**clock, "status": "advancing"})
    if moment > account.now():
        _move(account, moment)
    return account.update(clock, event="test_helpers.test_clock.ready", frozen_time=moment)


def delete(account: Account, _params: Params, clock_id: str) -> Document:
    clock = account.store.get("test_helpers.test_clock", clock_id)
    account.store.save({**clock, "deleted": True})
    account.events.emit("test_helpers.test_clock.deleted", clock)
    return {"id": clock_id, "object": "test_helpers.test_clock", "deleted": True}


def _move(account: Account, moment: int) -> None:
    from billing.sandbox.clock import move

    move(account, moment)
