"""How a program is told that a limit is reached: `Retry-After`, the `RateLimit` headers, and the numbers as JSON.

The headers are those of the IETF's draft "RateLimit header fields for HTTP" (draft 10), which has expired so far: the
same numbers stand in the body for whoever does not read them.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from billing.quota import QuotaExceeded

RETRY_SOON_SECONDS = 1


def headers(wall: QuotaExceeded, *, now: datetime) -> dict[str, str]:
    """`Retry-After` in seconds, what is left of the limit and when it comes back, and what the limit is."""
    name, seconds = wall.code, seconds_left(wall, now=now)
    policy = f'"{name}";q={wall.limit}'
    if wall.code == "concurrency":
        policy += ';qu="concurrent-requests"'
    elif wall.window:
        policy += f";w={int(wall.window.total_seconds())}"
    return {
        "Retry-After": str(seconds),
        "RateLimit": f'"{name}";r={wall.remaining};t={seconds}',
        "RateLimit-Policy": policy,
    }


def until(moment: datetime, *, now: datetime) -> dict[str, str]:
    """`Retry-After` alone, for a limit that is not the plan's."""
    return {"Retry-After": str(max(1, math.ceil((moment - now).total_seconds())))}


def seconds_left(wall: QuotaExceeded, *, now: datetime) -> int:
    """Until it is worth asking again: a reply that is being written may end at any moment."""
    if wall.code == "concurrency":
        return RETRY_SOON_SECONDS
    return max(1, math.ceil((wall.resets_at - now).total_seconds()))


def numbers(wall: QuotaExceeded) -> dict[str, Any]:
    return {
        "quota": wall.code,
        "limit": wall.limit,
        "used": wall.used,
        "remaining": wall.remaining,
        "resets_at": wall.resets_at.isoformat().replace("+00:00", "Z"),
        "plan": wall.plan_key,
    }
