"""How hard a worker works the event table off: so that neither replies nor pages nor Stripe itself are kept waiting.

Events come in floods, and each wake-up starts a task. A thread at it holds a database connection while it asks Stripe,
and Stripe answers 25 requests a second at one address and refuses the rest. So a worker process has a few threads at
it, at that pace. What waits meanwhile costs nothing: one fetch of an object ends all of its events that had come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from billing import webhooks

THREADS = 4
EVENTS_A_SECOND = 25
BURST = 25


class Pace:
    """So many turns a second in all threads together; after a pause as many as `burst` at once."""

    def __init__(self, *, a_second: float, burst: int) -> None:
        self._apart = 1 / a_second
        self._slack = burst * self._apart
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now - self._slack) + self._apart
            pause = self._next - now
        if pause > 0:
            time.sleep(pause)


_pace = Pace(a_second=EVENTS_A_SECOND, burst=BURST)
_places = threading.BoundedSemaphore(THREADS)
_is_wanted = threading.Event()


def drain(*, now: Callable[[], datetime]) -> int:
    """Work off what is due; returns how many events ended. Where all places are taken, one of those looks once more."""
    ended = 0
    _is_wanted.set()
    while _is_wanted.is_set() and _places.acquire(blocking=False):
        try:
            _is_wanted.clear()
            ended += webhooks.process_waiting(now=now, pace=_pace.wait)
        finally:
            _places.release()
    return ended
