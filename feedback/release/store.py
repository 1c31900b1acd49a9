"""Where releases lie: a folder or a bucket, behind fsspec."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import fsspec
from django.conf import settings

ROOT = "releases"
# A file system has one transaction at a time, and the worker's threads share it.
_writing = threading.Lock()


@lru_cache(maxsize=1)
def _filesystem() -> tuple[Any, str]:
    return fsspec.core.url_to_fs(settings.STORAGE_URL)  # type: ignore[no-any-return]


def location(path: str) -> str:
    """Where a file or folder of a release lies, as the store names it."""
    _system, root = _filesystem()
    return f"{root}/{ROOT}/{path}"


def write(path: str, data: bytes) -> None:
    """Write a whole file; a reader sees the old one or the new one, never half."""
    system, _root = _filesystem()
    target = location(path)
    system.makedirs(target.rpartition("/")[0], exist_ok=True)
    with _writing, system.transaction, system.open(target, "wb") as sink:
        sink.write(data)


def read(path: str) -> bytes:
    """The bytes of a file. Raises `FileNotFoundError`."""
    system, _root = _filesystem()
    with system.open(location(path), "rb") as source:
        return bytes(source.read())
