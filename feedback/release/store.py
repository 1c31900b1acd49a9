"""Where releases lie: a folder or a bucket, behind fsspec."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import fsspec
from django.conf import settings
from fsspec.implementations.local import LocalFileSystem

ROOT = "releases"
# The file of a release that is written last and names all others: without it there is no release.
MANIFEST = "manifest.json"
UNFINISHED = ".unfinished-"
# What a bucket's file holds back until it sends a part; by itself it would be 50 MB for each of the files open at once.
PART_BYTES = 8 * 1024 * 1024
# As soon as this much of a file is written the system is asked to keep none of it in memory. Nobody reads it soon, the
# database's pages would go for it, and memory that was in use a moment ago is the cheapest there is: on a virtual
# machine whose host takes back what is free, new memory costs more than all the packing.
KEPT_BYTES = 2 * 1024 * 1024


class Sink:
    """A file being written: counts and hashes what goes through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._descriptor = _descriptor(file)
        self._kept = 0
        self.bytes = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._file.write(view)
        self._hash.update(view)
        self.bytes += len(view)
        self._kept += len(view)
        if self._kept >= KEPT_BYTES:
            self._forget()
        return len(view)

    def _forget(self) -> None:
        self._kept = 0
        if self._descriptor is not None and hasattr(os, "posix_fadvise"):
            # What is on the disk goes. All else begins to be written, and goes the next time.
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def settle(self) -> None:
        """Wait until all of it is on the disk; a bucket's file is safe when it is closed."""
        if self._descriptor is not None:
            self._file.flush()
            os.fsync(self._descriptor)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        """What the file holds back is written at the end."""

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def _descriptor(file: IO[bytes]) -> int | None:
    """Of a file of this machine; a bucket's has none."""
    with contextlib.suppress(OSError):
        return file.fileno()
    return None


@lru_cache(maxsize=1)
def _filesystem() -> tuple[Any, str]:
    return fsspec.core.url_to_fs(settings.STORAGE_URL)  # type: ignore[no-any-return]


def location(path: str) -> str:
    """Where a file or folder of a release lies, as the store names it."""
    _system, root = _filesystem()
    return f"{root}/{ROOT}/{path}"


@contextlib.contextmanager
def local(folder: str) -> Iterator[str]:
    """Where a folder can be read by what knows files alone: itself, or of a bucket a copy that goes afterwards."""
    system, _root = _filesystem()
    if isinstance(system, LocalFileSystem):
        yield location(folder)
        return
    with tempfile.TemporaryDirectory(prefix="parley-release-") as copied:
        for path in paths(folder):
            target = Path(copied, folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            system.get_file(location(f"{folder}/{path}"), str(target))
        yield str(Path(copied, folder))


@contextlib.contextmanager
def writing(path: str) -> Iterator[Sink]:
    """A sink whose file takes its name only when it is whole and on the disk: a reader sees the old one or the new one,
    never half, after a power cut as well."""
    system, _root = _filesystem()
    target = location(path)
    folder, _slash, name = target.rpartition("/")
    system.makedirs(folder, exist_ok=True)
    unfinished = f"{folder}/{UNFINISHED}{uuid.uuid4().hex}-{name}"
    try:
        with system.open(unfinished, "wb", block_size=PART_BYTES) as file:
            sink = Sink(file)
            yield sink
            sink.settle()
        system.mv(unfinished, target)
        _settle_names(folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            system.rm_file(unfinished)
        raise


def _settle_names(folder: str) -> None:
    system, _root = _filesystem()
    if isinstance(system, LocalFileSystem):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write(path: str, data: bytes) -> None:
    """Write a whole file."""
    with writing(path) as sink:
        sink.write(data)


def read(path: str) -> bytes:
    """The bytes of a file. Raises `FileNotFoundError`."""
    with reading(path) as source:
        return bytes(source.read())


def reading(path: str) -> Any:
    """The file, open for reading in pieces and at any place. Raises `FileNotFoundError`."""
    system, _root = _filesystem()
    return system.open(location(path), "rb")


def move(source: str, target: str) -> None:
    """Move a file within the store; nothing happens where it was moved before."""
    system, _root = _filesystem()
    system.invalidate_cache()
    if not system.exists(location(source)) and system.exists(location(target)):
        return
    folder = location(target).rpartition("/")[0]
    system.makedirs(folder, exist_ok=True)
    system.mv(location(source), location(target))
    _settle_names(folder)


def paths(folder: str) -> list[str]:
    """Every file below a folder, relative to it; none when there is no such folder."""
    system, _root = _filesystem()
    base = location(folder)
    system.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):
        found = system.find(base)
        start = len(system._strip_protocol(base)) + 1
        return sorted(path[start:] for path in found)
    return []


def remove(path: str) -> None:
    """Delete a file; nothing happens when it is gone already."""
    system, _root = _filesystem()
    with contextlib.suppress(FileNotFoundError):
        system.rm_file(location(path))
