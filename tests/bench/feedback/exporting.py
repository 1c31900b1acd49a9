"""One process that writes the shards of a release, and copies the same rows to nowhere in between."""

from __future__ import annotations

import os
import re
import time
import uuid
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection  # noqa: E402

from feedback.release import reading, shards  # noqa: E402
from feedback.release.specification import Specification  # noqa: E402

# Ordinals follow the batches of `big_release`.
_COPY = """
COPY (
    SELECT row_id, prompt_contents, chosen, rejected, weight::float4, particulars FROM feedback_candidaterow
    WHERE release_id = '{release_id}' AND batch >= {first} / 500 AND batch < {end} / 500
) TO STDOUT (FORMAT BINARY)
"""


@dataclass(frozen=True)
class Written:
    rows: int
    bytes_a_row: int
    export_seconds: float
    copy_seconds: float
    cpu_seconds: float


def export(release_id: uuid.UUID, folder: str, rows: int, pipe: Connection) -> None:
    """Sends (what each shard took, rows a second of one shard with its twins by the clock and by the processor's,
    megabytes of memory at most)."""
    size = Specification.shard_rows
    starts = range(0, rows, size)
    spans = [reading.Span(release_id, "preference", "train", first, min(first + size, rows)) for first in starts]
    # What a worker does once is left out: to load libraries, to open connections, to ask for memory.
    _copy(spans[0])
    _write(folder, 0, spans)
    written = []
    for number, span in enumerate(spans):
        # The first to read a page has it read from disk for both, so they take turns at being first.
        timings = {}
        for name in ("export", "copy") if number % 2 else ("copy", "export"):
            started, cpu = time.perf_counter(), time.process_time()
            if name == "copy":
                copied = _copy(span)
            else:
                _write(folder, number, spans)
            timings[name] = time.perf_counter() - started, time.process_time() - cpu
        count = span.end - span.first
        written.append(Written(count, copied // count, timings["export"][0], timings["copy"][0], timings["export"][1]))
    started, cpu = time.perf_counter(), time.process_time()
    shards.write(folder, shards.Shard("preference", "train", 0, len(spans)), reading.pieces(spans[0]), lambda: None)
    count = spans[0].end - spans[0].first
    twins = count / (time.perf_counter() - started), count / (time.process_time() - cpu)
    pipe.send((written, twins, _peak_megabytes()))


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
