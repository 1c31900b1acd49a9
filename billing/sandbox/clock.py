"""What time does: renewals, trials that end, retries, schedules, and all that expires.

The account has one time: real time plus an offset. A test clock has a time of its own, which stands still until it is
advanced, for the customers that were made for it. Moving either stops at every moment at which something is due, in
order, so that a year passes as it would have passed, only faster.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from billing.sandbox.account import Account
from billing.sandbox.agenda import Turn
from billing.sandbox.resources import checkout, refunds, renewals, schedules, test_clocks
from billing.sandbox.store import Document

logger = logging.getLogger(__name__)

TICK_SECONDS = 5.0


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
    "refund": refunds.due_times,
}
RUN: dict[str, Callable[[Account, Document], None]] = {
    "subscription": renewals.turn,
    "invoice": renewals.collect,
    "checkout.session": _run_session,
    "subscription_schedule": schedules.turn,
    "refund": refunds.turn,
}


def move(account: Account, to: int, *, clock: str = "") -> int:
    """Let time pass until `to` (seconds since 1970) and do what falls due; returns how many things happened.

    The time is that of the test clock of this id, else the account's own. Nothing happens when `to` is not after the
    present moment: time never goes back.
    """
    happened = 0
    try:
        with account.store.change():
            _catch_up(account)
            while turn := account.agenda.take(clock, until=to):
                document = account.store.find(turn.kind, turn.object_id)
                if document is None or turn.at not in DUE[turn.kind](document):
                    continue
                with account.store.at(turn.at, is_apart=bool(clock)):
                    RUN[turn.kind](account, document)
                happened += 1
                _catch_up(account, turn)
            if not clock:
                account.store.set_time(max(to, account.now()))
    except BaseException:
        account.store.forget_changed()  # what was taken off the agenda has not happened after all
        raise
    return happened


def _catch_up(account: Account, just_done: Turn | None = None) -> None:
    """Bring the agenda up to date with what has changed. What was just done is not due again for the same moment."""
    changed = account.store.take_changed()
    if changed is None:
        account.agenda.clear()
        documents = [document for kind in DUE for document in account.store.all(kind)]
    else:
        found = (account.store.find(kind, object_id) for kind, object_id in sorted(changed) if kind in DUE)
        documents = [document for document in found if document]
    for document in documents:
        kind, object_id = document["object"], document["id"]
        turns = [Turn(at, object_id, kind) for at in DUE[kind](document)]
        if just_done and object_id == just_done.object_id:
            turns = [turn for turn in turns if turn.at > just_done.at]
        account.agenda.add(test_clocks.of(account, document), turns)


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
