"""Waiting for what another process does: for the condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

# Short beside what is waited for, long beside a query, so that asking does not slow down who is asked.
PAUSE_SECONDS = 0.05


def wait_until(
    condition: Callable[[], bool],
    *,
    seconds: float = 30,
    what: str = "it did not happen",
    pause: float = PAUSE_SECONDS,
) -> None:
    """Return as soon as `condition` holds; raises AssertionError with `what` when it does not within `seconds`."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, what
        time.sleep(pause)
