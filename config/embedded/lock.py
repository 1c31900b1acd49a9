"""A lock that ends with its holder, even one killed with SIGKILL: the kernel releases it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType


class AlreadyHeld(RuntimeError):  # noqa: N818
    """Somebody else holds the lock; `str()` is what they wrote into it."""


class Lock:
    """Held inside the `with` block; `text` tells others who holds it."""

    def __init__(self, path: Path, *, text: str) -> None:
        self._path = path
        self._text = text
        self._descriptor = -1

    def __enter__(self) -> Lock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Opened so that child processes do not inherit it: a child that outlives us must not hold our lock.
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.read(self._descriptor, 4096).decode()
            os.close(self._descriptor)
            raise AlreadyHeld(text) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, self._text.encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
