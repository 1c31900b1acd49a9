"""How fast a release is written, beside a bare binary COPY of the same rows, and how much memory it takes.

The export is the one of a release: shards of the usual size, from PostgreSQL into nested Parquet. Shard by shard it is
done twice, between two times of `COPY ... TO STDOUT (FORMAT BINARY)` of the table that the rows are in, as they lie
there, whose bytes are thrown away, so that the ratio means something on a busy machine too. What is read is in memory.
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
LEAST_RATE = 150_000


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
    there.close()  # or nobody would hear that it ended
    measured = here.recv()
    exporter.join(60)
    export, copied = (statistics.median(one.rate for one in each) for each in (measured.exports, measured.copies))
    cpu = statistics.median(one.cpu_rate for one in measured.exports)
    ratio = export / copied
    print(f"\n{ROWS:,} rows of {measured.bytes_a_row:,} bytes in COPY, by one process; medians:")
    print(f"Parquet {export:,.0f} rows/s ({cpu:,.0f} a second of its own CPU), COPY {copied:,.0f}, ratio {ratio:.2f}")
    print(f"with JSON lines {measured.twins.rate:,.0f} rows/s ({measured.twins.cpu_rate:,.0f} a second of its own CPU)")
    print(f"peak memory {measured.peak_megabytes:.0f} MB")
    assert measured.peak_megabytes < MOST_MEGABYTES
    assert ratio >= LEAST_RATIO
    assert export >= LEAST_RATE
