"""Somebody deletes their account: how long until no current release holds a word of theirs, with the receipt.

`ERASURE_ROWS` sets how many rows of 1.2 kB the release has. One process
does all of it, as a worker does. A person has a hundred rows, which lie in every file.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from accounts import erasure
from feedback.models import Erasure, Release
from feedback.release import building, erasing, store, verify
from tests import big_release

ROWS = int(os.environ.get("ERASURE_ROWS", "100000"))
MOST_SECONDS = 60


@pytest.mark.django_db(transaction=True)
def test_erasure() -> None:
    started = time.perf_counter()
    release, people = big_release.chosen(ROWS)
    release = building.work_off(release.pk)
    files = release.chunks.filter(stage="files").count()
    print(f"\n{ROWS:,} rows in {files} files made in {time.perf_counter() - started:.0f} s")
    mine = pa.array(release.rows.filter(user=people[0]).values_list("row_id", flat=True))
    began, cpu = time.perf_counter(), time.process_time()
    erasure.erase(people[0].pk, now=timezone.now())
    asked = time.perf_counter() - began
    erasing.begin(now=timezone.now())
    successor = Release.objects.get(parent=release)
    building.work_off(successor.pk)
    seconds, computed = time.perf_counter() - began, time.process_time() - cpu
    print(f"{len(mine)} rows erased in {seconds:.1f} s ({computed:.1f} s of CPU), of which {asked:.2f} s to ask for it")
    assert Erasure.objects.get().finished_at
    successor.refresh_from_db()
    assert verify.problems(successor) == []
    assert successor.rows_done == ROWS - len(mine)
    for path in Path(store.location("")).rglob("*.parquet"):
        assert not pc.any(pc.is_in(pq.read_table(path, columns=["id"])["id"], value_set=mine)).as_py()
    assert seconds < MOST_SECONDS
