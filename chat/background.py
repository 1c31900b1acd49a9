"""One event loop a process, in a thread of its own, for what threads want done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import lru_cache
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Wait for what comes of it."""
    return begin(coroutine).result()


def begin(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Have it done meanwhile."""
    return asyncio.run_coroutine_threadsafe(coroutine, _loop())


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    loop = uvloop.new_event_loop()
    threading.Thread(target=loop.run_forever, name="background", daemon=True).start()
    return loop
