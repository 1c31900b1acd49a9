"""Files are read while they are sent, not before."""

from __future__ import annotations

import io

from asgiref.sync import async_to_sync

from accounts.sending_files import SentFile


class CountedReads(io.BytesIO):
    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


def test_a_file_is_read_part_by_part_as_it_leaves() -> None:
    content = bytes(3 * SentFile.block_size + 7)
    file = CountedReads(content)
    answer = SentFile(file, as_attachment=True, filename="large.zip")

    async def receive() -> list[tuple[int, int]]:
        return [(len(part), file.reads) async for part in answer]

    received = async_to_sync(receive)()
    assert [reads for _size, reads in received] == [1, 2, 3, 4]
    assert sum(size for size, _reads in received) == len(content)
    assert answer.headers["Content-Length"] == str(len(content))
