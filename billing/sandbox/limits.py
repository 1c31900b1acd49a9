"""The limit of requests a second. Stripe's sandboxes allow 25; here it is off until somebody switches it on."""

from __future__ import annotations

import threading
import time
from collections import deque

from billing.sandbox.errors import APIError

STRIPES = 25


class RateLimit:
    def __init__(self, per_second: int = 0) -> None:
        self.per_second = per_second
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()

    def count(self) -> None:
        """One more request; raises Stripe's 429 when there were too many within the last second."""
        if not self.per_second:
            return
        now = time.monotonic()
        with self._lock:
            while self._recent and self._recent[0] <= now - 1:
                self._recent.popleft()
            if len(self._recent) >= self.per_second:
                text = f"Request rate limit exceeded: {self.per_second} a second."
                headers = {"Stripe-Rate-Limited-Reason": "global-rate"}
                raise APIError(429, "invalid_request_error", text, code="rate_limit", headers=headers)
            self._recent.append(now)
