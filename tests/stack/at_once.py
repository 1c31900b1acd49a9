"""Two requests at once: what one of them asks of the simulated Stripe is under way while the other is made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from django.db import connection

from billing import checkout, commands, stripe, subscriptions
from tests.waiting import wait_until

SAYS_NO = (
    subscriptions.CannotChange,
    checkout.CannotCheckOut,
    stripe.StripeUnavailable,
    commands.CommandRefused,
)


class Deed(threading.Thread):
    """Somebody else's request, in a thread and a connection of its own; `problem` is what it was told."""

    def __init__(self, what: Callable[..., Any], **how: Any) -> None:
        super().__init__()
        self.what, self.how = what, how
        self.problem: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.what(**self.how)
        except SAYS_NO as problem:
            self.problem = problem
        finally:
            connection.close()


@contextmanager
def under_way(url: str, path: str, seconds: float, what: Callable[..., Any], **how: Any) -> Iterator[Deed]:
    """What `what` posts to `path` of the simulated Stripe is on its way for some seconds, and not done yet."""
    fault = {"kind": "late", "seconds": seconds, "path": path, "method": "POST"}
    httpx.post(f"{url}/_ctl/faults", json=fault).raise_for_status()
    deed = Deed(what, **how)
    wait_until(lambda: not httpx.get(f"{url}/_ctl/faults").json()["armed"])
    yield deed
    deed.join(30)
    assert not deed.is_alive()
