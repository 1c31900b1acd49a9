"""How fast a release is written, beside a bare binary COPY of the same rows, and how much memory it takes.

The export is the one of a release: shards of the usual size, from PostgreSQL into nested Parquet. Shard by shard it
takes turns with `COPY ... TO STDOUT (FORMAT BINARY)` of the table that the rows are in, as they lie there, whose bytes
are thrown away, so that the ratio means something on a busy machine too.
`EXPORT_ROWS` sets how many rows of 1.2 kB there are.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from tests import big_release

ROWS = int(os.environ.get("EXPORT_ROWS", "200000"))
MOST_MEGABYTES = 300
LEAST_RATIO = 0.5


@pytest.mark.django_db(transaction=True)
def test_export(monkeypatch: pytest.MonkeyPatch) -> None:
    address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    monkeypatch.setenv("DATABASE_URL", urlunsplit(address))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "config.settings")
    from tests.bench.feedback.exporting import export

    release, _people = big_release.chosen(ROWS)
    with connection.cursor() as cursor:
        # Otherwise both come by themselves some time within the next minutes, and take a core from one of the two.
        cursor.execute("VACUUM feedback_candidaterow, feedback_releaserow")
        cursor.execute("CHECKPOINT")
    os.sync()
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    exporter = spawning.Process(target=export, args=(release.pk, release.folder, ROWS, there))
    exporter.start()
    shards, twins, peak = here.recv()
    exporter.join(60)
    # Whoever is first in a shard is faster, by a fifth, so that a median of single shards would be drawn by lot.
    pairs = [shards[number : number + 2] for number in range(0, len(shards), 2)]
    ratio = statistics.median(
        sum(one.copy_seconds for one in pair) / sum(one.export_seconds for one in pair) for pair in pairs
    )
    export = statistics.median(one.rows / one.export_seconds for one in shards)
    copied = statistics.median(one.rows / one.copy_seconds for one in shards)
    cpu = statistics.median(one.rows / one.cpu_seconds for one in shards)
    print(f"\n{ROWS:,} rows of {shards[0].bytes_a_row:,} bytes in COPY; medians of {len(shards)} shards, one process:")
    print(f"Parquet {export:,.0f} rows/s ({cpu:,.0f} a second of its own CPU), COPY {copied:,.0f}, ratio {ratio:.2f}")
    print(f"with its JSON lines for OpenAI and LLaMA-Factory {twins[0]:,.0f} rows/s ({twins[1]:,.0f} of its own CPU)")
    print(f"peak memory {peak:.0f} MB")
    assert peak < MOST_MEGABYTES
    assert ratio >= LEAST_RATIO
