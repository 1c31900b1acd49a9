"""Files as answers, whatever their size."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.http import FileResponse


async def one_by_one(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same parts, each made when the one before has left: behind ASGI Django makes all of them first."""
    while (part := await sync_to_async(lambda: next(parts, None))()) is not None:
        yield part


class SentFile(FileResponse):
    """A file that is read while it is sent, not into memory before."""

    block_size = 256 * 1024

    def __aiter__(self) -> AsyncIterator[bytes]:
        return one_by_one(iter(self))
