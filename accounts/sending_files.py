"""Files as answers, whatever their size."""

from __future__ import annotations

from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.http import FileResponse


class SentFile(FileResponse):
    """A file that is read while it is sent: Django's own would read all of it first, into memory, behind ASGI."""

    block_size = 256 * 1024

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = iter(self)
        while (part := await sync_to_async(lambda: next(parts, None))()) is not None:
            yield part
