"""One process that writes the shards of a release, and copies the same rows to nowhere in between."""

from __future__ import annotations

import math
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

# Of the table as it lies there, from one place to another: nothing is looked up and nothing put in order.
_COPY = """
COPY (
    SELECT row_id, prompt_contents, chosen, rejected, weight::float4, particulars FROM feedback_candidaterow
    WHERE ctid BETWEEN {first} AND {last}
) TO STDOUT (FORMAT BINARY)
"""
# Ordinals follow the batches of `big_release`.
_PLACES = """
SELECT quote_literal(min(ctid)), quote_literal(max(ctid)) FROM feedback_candidaterow
WHERE release_id = %s AND batch >= %s / 500 AND batch < (%s + 499) / 500
"""
LEAST_TIMES = 6


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
    # What a worker does once is left out: to load libraries, to open connections, to ask for memory.
    bytes_a_row = _copy(spans[0], _copy_of(spans[0])) // spans[0].end
    _write(folder, 0, spans)
    exports, copies = [], []
    for number, span in list(enumerate(spans)) * math.ceil(LEAST_TIMES / 2 / len(spans)):
        statement = _copy_of(span)
        # Whoever is the first to read for minutes may read from the disk, for all that come after.
        _copy(span, statement)
        # And whoever is the second finds other things in PostgreSQL's buffers.
        for name in ("copy", "export", "export", "copy"):
            if name == "copy":
                copies.append(_timed(span, partial(_copy, span, statement)))
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


def _copy_of(span: reading.Span) -> str:
    with connection.cursor() as cursor:
        cursor.execute(_PLACES, [span.release_id, span.first, span.end])
        first, last = cursor.fetchone()
    return _COPY.format(first=first, last=last)


def _copy(span: reading.Span, statement: str) -> int:
    size = 0
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for data in copy:
                size += len(data)
        if cursor.rowcount != span.end - span.first:
            raise RuntimeError(f"COPY sent {cursor.rowcount} rows of {span}")
    return size
