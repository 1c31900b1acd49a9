"""What time does: renewals, trials that end, retries, schedules, and all that expires.

The account has one time: real time plus an offset. Moving it stops at every moment at which something is due, in
order, so that a year passes as it would have passed, only faster.
"""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from billing.sandbox.account import Account
from billing.sandbox.resources import checkout, invoices, renewals, schedules
from billing.sandbox.store import Document

logger = logging.getLogger(__name__)

TICK_SECONDS = 5.0


@dataclass(order=True, frozen=True)
class _Turn:
    at: int
    object_id: str
    kind: str = field(compare=False)


def _invoice_due(invoice: Document) -> Iterator[int]:
    if invoice["status"] == "draft" and invoice["automatically_finalizes_at"]:
        yield invoice["automatically_finalizes_at"]
    if invoice["status"] == "open" and invoice["next_payment_attempt"]:
        yield invoice["next_payment_attempt"]


def _session_due(session: Document) -> Iterator[int]:
    if session["status"] == "open":
        yield session["expires_at"]


def _run_session(account: Account, session: Document) -> None:
    checkout.expire(account, {}, session["id"])


DUE: dict[str, Callable[[Document], Iterator[int]]] = {
    "subscription": renewals.due_times,
    "invoice": _invoice_due,
    "checkout.session": _session_due,
    "subscription_schedule": schedules.due_times,
}
RUN: dict[str, Callable[[Account, Document], None]] = {
    "subscription": renewals.turn,
    "invoice": renewals.collect,
    "checkout.session": _run_session,
    "subscription_schedule": schedules.turn,
}


def move(account: Account, to: int) -> int:
    """Let time pass until `to` (seconds since 1970) and do what falls due; returns how many things happened.

    Nothing happens when `to` is not after the present moment: time never goes back.
    """
    happened = 0
    with account.store.change():
        turns = [turn for kind in DUE for document in account.store.all(kind) for turn in _turns(kind, document)]
        heapq.heapify(turns)
        while turns and turns[0].at <= to:
            turn = heapq.heappop(turns)
            document = account.store.get(turn.kind, turn.object_id)
            if turn.at not in DUE[turn.kind](document):
                continue
            newest = account.store.newest_sequence()
            with account.store.at(turn.at):
                RUN[turn.kind](account, document)
            happened += 1
            _queue(account, turns, turn, newest)
        account.store.set_time(max(to, account.now()))
    return happened


def _turns(kind: str, document: Document) -> list[_Turn]:
    return [_Turn(at, document["id"], kind) for at in DUE[kind](document)]


def _queue(account: Account, turns: list[_Turn], turn: _Turn, newest: int) -> None:
    """What is due next for the object, for its subscription, and for what was made meanwhile."""
    changed = [(turn.kind, account.store.get(turn.kind, turn.object_id))]
    if turn.kind == "invoice" and (subscription := invoices.subscription_of(account, changed[0][1])):
        changed.append(("subscription", subscription))
    for kind in DUE:
        changed += [(kind, document) for document in account.store.made_after(newest, kind)]
    for kind, document in changed:
        for fresh in _turns(kind, document):
            if fresh.at > turn.at or fresh.object_id != turn.object_id:
                heapq.heappush(turns, fresh)


class Clock:
    """Keeps up with real time: what falls due while the simulation runs happens within seconds."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._stopping = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="clock", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            try:
                move(self._account, self._account.now())
            except Exception:
                logger.exception("Time stands still: what was due could not be done")
