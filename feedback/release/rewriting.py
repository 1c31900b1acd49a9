"""The files of a release that takes the place of another, without the rows that go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from feedback.release import measures, shards, store, tables, twins
from feedback.release.models import Release, ReleaseChunk


def rewritten(
    release: Release, chunk: ReleaseChunk, shard: shards.Shard, beat: Callable[[], None]
) -> list[shards.File]:
    """The parent's shard and its twins without the rows that go; no files when none is left."""
    assert release.parent is not None  # noqa: S101 - a successor has one
    gone = release.origin.rows.filter(
        erased_in=release,
        config=chunk.config,
        split=chunk.split,
        ordinal__gte=chunk.first_ordinal,
        ordinal__lt=chunk.end_ordinal,
    )
    row_ids = pa.array(gone.values_list("row_id", flat=True), pa.string())
    if not chunk.files:
        return []
    old = release.parent.folder
    if chunk.config == shards.TREES:
        names = set(row_ids.to_pylist())
        trees = (line for line in shards.stored_lines(old, shard) if json.loads(line)["id"] not in names)
        return _unless_empty(release, shards.write_lines(release.folder, shard, trees, beat))
    lines: set[int] = set()

    def kept() -> Iterator[measures.Piece]:
        first = 0
        for table in shards.stored_tables(old, shard):
            is_gone = pc.is_in(table.column("id"), value_set=row_ids)
            lines.update(first + place for place in pc.indices_nonzero(is_gone).to_pylist())
            first += table.num_rows
            stays = table.filter(pc.invert(is_gone)).cast(tables.schema(shard.config, shard.shape))
            yield measures.counted(shard.config, stays)

    parquet = shards.write_parquet(release.folder, shard, kept(), beat)
    if not _unless_empty(release, parquet):
        return []
    return [parquet, *(_without_lines(release, shard, twin, lines, beat) for twin in twins.TWINS.get(shard.config, ()))]


def _unless_empty(release: Release, file: shards.File) -> list[shards.File]:
    if file.rows:
        return [file]
    store.remove(f"{release.folder}/{file.path}")
    return []


def _without_lines(
    release: Release, shard: shards.Shard, twin: twins.Twin, lines: set[int], beat: Callable[[], None]
) -> shards.File:
    assert release.parent is not None  # noqa: S101 - a successor has one
    path, rows = f"{twin.folder}/{twin.file_name(shard.name)}", 0
    with store.reading(f"{release.parent.folder}/{path}") as source, store.writing(f"{release.folder}/{path}") as sink:
        for number, line in enumerate(source):
            if number not in lines:
                sink.write(line)
                rows += 1
            if number % 1_000 == 0:
                beat()
    return shards.File(path, rows, sink.bytes, sink.sha256)
