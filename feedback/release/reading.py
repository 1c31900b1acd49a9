"""Read the rows of one file from the database as Arrow, in pieces of a fixed number of rows.

The fast way is ADBC: binary COPY straight into Arrow, on a connection of its own. Inside a transaction, whose rows no
other connection sees, psycopg reads the same COPY. Both give the same pieces.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from adbc_driver_postgresql import dbapi
from django.db import connection, transaction
from psycopg.conninfo import make_conninfo

from feedback.release.rules import RULES_VERSION
from feedback.release.tables import FLAT

# What is held at once, twice: about 5 MB of rows of the usual size.
ROWS_AT_ONCE = 4_096
BATCH_BYTES = 4 * 1024 * 1024
TREES_AT_ONCE = 200

# What many rows say alike is sent as one text, which is taken apart once for each that differs: that costs less than a
# column for each. The version of the model comes last, because nobody knows what may be in it.
_ALIKE = r"""concat_ws(E'\x1f', array_to_string(row.prompt_roles, E'\x1e'), array_to_string(row.reasons, E'\x1e'),
    row.rule, row.locale, row.language, row.prompt_form, row.n_reviews, row.strength, row.confidence::float4,
    row.winner, row.other_model, row.model_version)"""
# Row by row in their order, by two indexes: left alone, the planner reads and sorts the whole table for every file.
_ROWS = """
SELECT place.row_id, row.* FROM (
    SELECT row_id, candidate_id, ordinal FROM feedback_releaserow
    WHERE release_id = '{release}' AND config = '{config}' AND split = '{split}'
        AND ordinal >= {first} AND ordinal < {end} ORDER BY ordinal OFFSET 0
) place CROSS JOIN LATERAL (
    SELECT row.prompt_contents, row.chosen, row.rejected, row.label, row.weight::float4, {alike}
    FROM feedback_candidaterow row WHERE row.id = place.candidate_id OFFSET 0
) row ORDER BY place.ordinal
"""
# The columns of that statement: their names in `tables.FLAT`, and their types in PostgreSQL.
_SENT = {
    "row_id": "text",
    "prompt_contents": "text[]",
    "chosen": "text",
    "rejected": "text",
    "label": "bool",
    "weight": "float4",
}
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
            alike=_ALIKE,
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
    if connection.in_atomic_block:
        return map(_told_apart, _pieces(_psycopg(span)))
    # The next piece is read while this one is written.
    return _ahead(_pieces(_adbc(span, _address())), _told_apart)


def _pieces(source: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in source:
        at = 0
        while count + len(batch) - at >= ROWS_AT_ONCE:
            part = batch.slice(at, ROWS_AT_ONCE - count)
            at += len(part)
            yield pa.concat_batches([*waiting, part])
            waiting, count = [], 0
        if at < len(batch):
            waiting.append(batch.slice(at))
            count += len(batch) - at
    if waiting:
        yield pa.concat_batches(waiting)


def _ahead(source: Iterator[pa.RecordBatch], shaped: Callable[[pa.RecordBatch], pa.RecordBatch]) -> Iterator[Any]:
    """The same, made by a thread that is one piece ahead."""
    with ThreadPoolExecutor(1) as reader:
        try:
            coming = reader.submit(_next, source, shaped)
            while (piece := coming.result()) is not None:
                coming = reader.submit(_next, source, shaped)
                yield piece
        finally:
            # Whoever stops early leaves a piece under way; the connection is closed where it was opened.
            reader.submit(source.close)  # type: ignore[attr-defined]


def _next(source: Iterator[pa.RecordBatch], shaped: Callable[[pa.RecordBatch], pa.RecordBatch]) -> Any:
    piece = next(source, None)
    return None if piece is None else shaped(piece)


def _told_apart(sent: pa.RecordBatch) -> pa.RecordBatch:
    """The columns of `tables.FLAT` from those that were sent."""
    alike = sent.column(len(_SENT)).dictionary_encode()
    different = pa.RecordBatch.from_pylist([_parts(text) for text in alike.dictionary.to_pylist()], schema=_PARTS)
    parts = pa.RecordBatch.from_arrays([column.take(alike.indices) for column in different.columns], schema=_PARTS)
    by_name = {name: sent.column(place) for place, name in enumerate(_SENT)}
    by_name |= {field.name: parts.column(field.name) for field in _PARTS}
    return pa.RecordBatch.from_arrays([by_name[field.name] for field in FLAT], schema=FLAT)


def _parts(text: str) -> dict[str, Any]:
    roles, reasons, rule, locale, language, form, reviews, strength, confidence, winner, other, model = text.split(
        "\x1f", 11
    )
    return {
        "prompt_roles": roles.split("\x1e"),
        "reasons": reasons.split("\x1e") if reasons else [],
        "rule": rule,
        "rule_version": RULES_VERSION,
        "locale": locale,
        "language": language,
        "prompt_form": form,
        "n_reviews": int(reviews),
        "strength": int(strength),
        "confidence": float(confidence),
        "winner": winner,
        "other_model": other,
        "model_version": model,
    }


_PARTS = pa.schema([field for field in FLAT if field.name not in _SENT])


def _adbc(span: Span, address: str) -> Iterator[pa.RecordBatch]:
    options = {"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)}
    with dbapi.connect(address) as database, database.cursor(adbc_stmt_kwargs=options) as cursor:
        cursor.execute(span.statement)
        yield from cursor.fetch_record_batch()


def _address() -> str:
    connection.ensure_connection()
    parameters: dict[str, Any] = {**connection.connection.info.get_parameters()}
    password = connection.connection.info.password
    return make_conninfo(**parameters, **({"password": password} if password else {}))


def _psycopg(span: Span) -> Iterator[pa.RecordBatch]:
    with connection.cursor() as cursor, cursor.copy(f"COPY ({span.statement}) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types([*_SENT.values(), "text"])
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
    types = [*(FLAT.field(name).type for name in _SENT), pa.string()]
    arrays = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=[*_SENT, "alike"])
