"""Read the rows of one file from the database as Arrow, in pieces of a fixed number of rows.

The fast way is ADBC: binary COPY straight into Arrow, on a connection of its own. Inside a transaction, whose rows no
other connection sees, psycopg reads the same COPY. Both give the same pieces.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from adbc_driver_postgresql import dbapi
from django.db import connection, transaction
from psycopg.conninfo import make_conninfo

from feedback.release.rules import RULES_VERSION
from feedback.release.tables import FLAT

# What is held at once: about 10 MB of rows of the usual size.
ROWS_AT_ONCE = 8_192
BATCH_BYTES = 8 * 1024 * 1024
TREES_AT_ONCE = 200

# The columns of `tables.FLAT` in its order.
_ROWS = """
SELECT place.row_id, row.prompt_roles, row.prompt_contents, row.chosen, row.rejected, row.label, row.rule::text,
    {rules_version}::int4, row.confidence::float4, row.model_version::text, row.locale::text, row.language::text,
    row.n_reviews, row.reasons::text[], row.prompt_form::text, row.weight::float4,
    row.strength::int4, row.other_model::text, row.winner::text
FROM feedback_releaserow place JOIN feedback_candidaterow row ON row.id = place.candidate_id
WHERE place.release_id = '{release}' AND place.config = '{config}' AND place.split = '{split}'
    AND place.ordinal >= {first} AND place.ordinal < {end} ORDER BY place.ordinal
"""


_TREES = """
SELECT place.row_id, row.prompt_contents, row.nodes
FROM feedback_releaserow place JOIN feedback_candidaterow row ON row.id = place.candidate_id
WHERE place.release_id = %s AND place.config = %s AND place.split = %s
    AND place.ordinal >= %s AND place.ordinal < %s ORDER BY place.ordinal
"""


@dataclass(frozen=True)
class Span:
    """The rows of one file: those of a config and split from one ordinal up to, not with, another."""

    release_id: uuid.UUID
    config: str
    split: str
    first: int
    end: int

    @property
    def statement(self) -> str:
        # Neither COPY nor ADBC's fast way takes parameters; these are an id, names from our own lists, and numbers.
        return _ROWS.format(
            rules_version=RULES_VERSION,
            release=uuid.UUID(str(self.release_id)),
            config=self.config,
            split=self.split,
            first=int(self.first),
            end=int(self.end),
        )


def trees(span: Span) -> Iterator[tuple[str, list[str], str]]:
    """(id, texts, what is known of each) of the trees in order."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(_TREES, [span.release_id, span.config, span.split, span.first, span.end])
        while found := cursor.fetchmany(TREES_AT_ONCE):
            yield from found


def pieces(span: Span) -> Iterator[pa.RecordBatch]:
    """The rows in order, `ROWS_AT_ONCE` at a time, the last piece smaller."""
    source = _psycopg(span) if connection.in_atomic_block else _adbc(span)
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in source:
        at = 0
        while count + len(batch) - at >= ROWS_AT_ONCE:
            part = batch.slice(at, ROWS_AT_ONCE - count)
            at += len(part)
            yield _joined([*waiting, part])
            waiting, count = [], 0
        if at < len(batch):
            waiting.append(batch.slice(at))
            count += len(batch) - at
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.concat_batches(batches)


def _adbc(span: Span) -> Iterator[pa.RecordBatch]:
    options = {"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)}
    with dbapi.connect(_address()) as database, database.cursor(adbc_stmt_kwargs=options) as cursor:
        cursor.execute(span.statement)
        for batch in cursor.fetch_record_batch():
            yield pa.RecordBatch.from_arrays(batch.columns, schema=FLAT)


def _address() -> str:
    connection.ensure_connection()
    parameters: dict[str, Any] = {**connection.connection.info.get_parameters()}
    password = connection.connection.info.password
    return make_conninfo(**parameters, **({"password": password} if password else {}))


def _psycopg(span: Span) -> Iterator[pa.RecordBatch]:
    types = [
        "text",
        "text[]",
        "text[]",
        "text",
        "text",
        "bool",
        "text",
        "int4",
        "float4",
        "text",
        "text",
        "text",
        "int4",
    ]
    with connection.cursor() as cursor, cursor.copy(f"COPY ({span.statement}) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types([*types, "text[]", "text", "float4", "int4", "text", "text"])
        yield from _batches(copy.rows())


def _batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[pa.RecordBatch]:
    held: list[tuple[Any, ...]] = []
    for row in rows:
        held.append(row)
        if len(held) == ROWS_AT_ONCE:
            yield _batch(held)
            held = []
    if held:
        yield _batch(held)


def _batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    arrays = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), FLAT, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=FLAT)
