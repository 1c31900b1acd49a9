"""Write the files of one shard: Parquet for `trl`, its twins in the shapes other trainers ask for, and trees."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from feedback.release import measures, store, tables, twins
from feedback.release.gates.language import UNKNOWN
from feedback.release.prompts import SHAPE_VERSION
from feedback.release.reading import ROWS_AT_ONCE

TREES = "trees"
LINES_PER_BEAT = 1_000
# More than a row group of the usual size takes when packed.
HELD_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class File:
    """A finished file of a release; `path` is relative to the release's folder, `languages` are those of its rows."""

    path: str
    rows: int
    bytes: int
    sha256: str
    languages: Sequence[str] = ()
    # What `measures.counted` found in it.
    lengths: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def listed(self) -> dict[str, Any]:
        """What a manifest says of it."""
        facts = {"path": self.path, "rows": self.rows, "bytes": self.bytes, "sha256": self.sha256}
        return facts | ({"languages": list(self.languages)} if self.languages else {})

    def as_json(self) -> dict[str, Any]:
        return self.listed | ({"lengths": dict(self.lengths)} if self.lengths else {})


@dataclass(frozen=True)
class Shard:
    """One of the files that a config and split are cut into."""

    config: str
    split: str
    number: int
    of: int
    shape: int = SHAPE_VERSION

    @property
    def name(self) -> str:
        return f"{self.split}-{self.number:05d}-of-{self.of:05d}"

    @property
    def path(self) -> str:
        return f"{self.config}/{self.name}.{'jsonl.gz' if self.config == TREES else 'parquet'}"


def write(folder: str, shard: Shard, pieces: Iterable[measures.Piece], beat: Callable[[], None]) -> list[File]:
    """Write a shard and its twins; the same rows give the same bytes, whoever reads them from wherever."""
    beside = twins.TWINS.get(shard.config, ())
    paths = [f"{twin.folder}/{twin.file_name(shard.name)}" for twin in beside]
    with ExitStack() as opened:
        sinks = [opened.enter_context(store.writing(f"{folder}/{path}")) for path in paths]

        def written_beside() -> Iterator[measures.Piece]:
            for piece in pieces:
                # Not all of a row group at once: rows taken apart take several times their place.
                for first in range(0, piece.table.num_rows if beside else 0, LINES_PER_BEAT):
                    columns = twins.as_json(piece.table.slice(first, LINES_PER_BEAT), beside)
                    for twin, sink in zip(beside, sinks, strict=True):
                        sink.write(twin.lines(columns))
                    beat()
                yield piece

        parquet = write_parquet(folder, shard, written_beside(), beat)
    pairs = zip(paths, sinks, strict=True)
    return [parquet, *(File(path, parquet.rows, sink.bytes, sink.sha256) for path, sink in pairs)]


def write_parquet(folder: str, shard: Shard, pieces: Iterable[measures.Piece], beat: Callable[[], None]) -> File:
    """Write the Parquet file of a shard."""
    rows, languages = 0, set[str]()
    lengths: dict[str, Any] = {}
    with store.writing(f"{folder}/{shard.path}") as sink:
        for piece in _packed(sink, shard, pieces):
            rows += piece.table.num_rows
            languages |= piece.languages
            for name, counted in piece.lengths.items():
                lengths[name] = lengths.get(name, 0) + counted
            beat()
    counts = {name: counted.tolist() for name, counted in lengths.items()}
    return File(shard.path, rows, sink.bytes, sink.sha256, sorted(languages - {UNKNOWN}), counts)


def _packed(sink: Any, shard: Shard, pieces: Iterable[measures.Piece]) -> Iterable[measures.Piece]:
    """Write each piece as a row group and hand it on."""
    with (
        # Packing touches no Python until a row group is whole: each page would wait for whoever runs some meanwhile.
        pa.BufferedOutputStream(pa.PythonFile(sink, mode="w"), HELD_BYTES) as file,
        pq.ParquetWriter(
            file,
            tables.schema(shard.config, shard.shape),
            compression="zstd",
            compression_level=1,
            use_dictionary=tables.dictionaries(shard.config),
            write_statistics=["id"],
            write_batch_size=ROWS_AT_ONCE,  # few and large pages: each is compressed by itself
            store_schema=False,  # it would tell readers how columns are held here, which not all of them know
        ) as writer,
    ):
        for piece in pieces:
            writer.write_table(piece.table)
            file.flush()
            yield piece


def write_lines(folder: str, shard: Shard, lines: Iterable[str], beat: Callable[[], None]) -> File:
    """Write a file of compressed lines. No name and no time are in it: the same lines give the same bytes."""
    rows = 0
    with (
        store.writing(f"{folder}/{shard.path}") as sink,
        gzip.GzipFile(filename="", mode="wb", fileobj=sink, compresslevel=6, mtime=0) as packed,
    ):
        for line in lines:
            packed.write(line.encode())
            rows += 1
            if rows % LINES_PER_BEAT == 0:
                beat()
    return File(shard.path, rows, sink.bytes, sink.sha256)


def stored_lines(folder: str, shard: Shard) -> Iterator[str]:
    """The lines of a shard as it was written."""
    with store.reading(f"{folder}/{shard.path}") as source, gzip.open(source, "rt", encoding="utf-8") as lines:
        yield from lines


def stored_tables(folder: str, shard: Shard) -> Iterable[pa.Table]:
    """The row groups of a shard as it was written."""
    with store.reading(f"{folder}/{shard.path}") as source:
        file = pq.ParquetFile(source)
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)
