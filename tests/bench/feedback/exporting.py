"""One process that writes the shards of a release, and copies the same rows to nowhere in between."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection  # noqa: E402

from feedback.release import reading, shards, store  # noqa: E402
from feedback.release.specification import Specification  # noqa: E402

# Ordinals follow the batches of `big_release`.
_COPY = """
COPY (
    SELECT row_id, prompt_contents, chosen, rejected, weight::float4, particulars FROM feedback_candidaterow
    WHERE release_id = '{release_id}' AND batch >= {first} / 500 AND batch < {end} / 500
) TO STDOUT (FORMAT BINARY)
"""


@dataclass(frozen=True)
class Timing:
    """How long the rows of a shard took."""

    rows: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Rows a second by the clock."""
        return self.rows / self.seconds

    @property
    def cpu_rate(self) -> float:
        """And by the processor's time of this process."""
        return self.rows / self.cpu_seconds


@dataclass(frozen=True)
class Measured:
    bytes_a_row: int
    exports: list[Timing]
    copies: list[Timing]
    # Of one shard with its twins.
    twins: Timing
    peak_megabytes: float


def export(release_id: uuid.UUID, folder: str, rows: int, pipe: Connection) -> None:
    """Sends what was `Measured`, shard by shard in turns."""
    size = Specification.shard_rows
    starts = range(0, rows, size)
    spans = [reading.Span(release_id, "preference", "train", first, min(first + size, rows)) for first in starts]
    with connection.cursor() as cursor:
        # A shard is a fifth of a million rows, where the planner would have COPY read them all.
        cursor.execute("SET enable_seqscan = off")
    # What a worker does once is left out: to load libraries, to open connections, to ask for memory.
    bytes_a_row = _copy(spans[0]) // spans[0].end
    _write(folder, 0, spans)
    exports, copies = [], []
    for number, span in enumerate(spans):
        # Whoever is the first to read for minutes may read from the disk, for all that come after.
        _copy(span)
        # And whoever is the second finds other things in PostgreSQL's buffers.
        for name in ("copy", "export", "export", "copy"):
            if name == "copy":
                copies.append(_timed(span, partial(_copy, span)))
            else:
                _remove(folder, number, spans)
                exports.append(_timed(span, partial(_write, folder, number, spans)))
    shard = shards.Shard("preference", "train", 0, len(spans))
    _remove(folder, 0, spans)
    twins = _timed(spans[0], lambda: shards.write(folder, shard, reading.pieces(spans[0]), lambda: None))
    pipe.send(Measured(bytes_a_row, exports, copies, twins, _peak_megabytes()))


def _timed(span: reading.Span, work: Callable[[], object]) -> Timing:
    started, cpu = time.perf_counter(), time.process_time()
    work()
    return Timing(span.end - span.first, time.perf_counter() - started, time.process_time() - cpu)


def _remove(folder: str, number: int, spans: list[reading.Span]) -> None:
    """A release writes no file twice, and to put one in another's place takes longer."""
    store.remove(f"{folder}/{shards.Shard('preference', 'train', number, len(spans)).path}")


def _write(folder: str, number: int, spans: list[reading.Span]) -> None:
    shard = shards.Shard("preference", "train", number, len(spans))
    shards.write_parquet(folder, shard, reading.pieces(spans[number]), lambda: None)


def _peak_megabytes() -> float:
    # Of this program alone: getrusage's figure goes through exec, so it would be at least what started us had.
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def _copy(span: reading.Span) -> int:
    """The same rows as they lie in their table: neither looked up one by one nor in any order."""
    size = 0
    with connection.cursor() as cursor, cursor.copy(_COPY.format(**vars(span))) as copy:
        for data in copy:
            size += len(data)
    return size
