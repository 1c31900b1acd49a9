"""Read the rows of one file from the database as Arrow, in pieces that are cut by the rows alone.

PostgreSQL hands out columns, not rows: of some hundred rows at a time all texts of a column as one, and how long each
is. `columns` makes Arrow of them without touching one by one. All this is done by one thread, on a connection of its
own, while another packs what came before: more threads would only wait for each other's Python. Inside a transaction,
whose rows no other connection sees, it is done on that of the transaction.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from django.db import connection, transaction
from psycopg_pool import ConnectionPool

from feedback.release import columns, measures, tables
from feedback.release.prompts import SHAPE_VERSION

# A text of PostgreSQL's ends at 1 GB: all replies of a group are one, so that each may be 2 MB.
ROWS_OF_GROUP = 512
# What is held at once, four times: about 9 MB of rows of the usual size, and of large ones no more than needs be.
ROWS_AT_ONCE = 6_144
BYTES_AT_ONCE = 64 * 1024 * 1024
TREES_AT_ONCE = 200
CONNECT_SECONDS = 10

logger = logging.getLogger(__name__)

T = TypeVar("T")

# The rows of each group by two indexes, each read from one place to another: left alone, the planner sorts the whole
# table for every file (and with `OFFSET 0` it keeps no groups to use again). The words come in the order they lie in,
# for all aggregates the same; `columns` puts them in the order of the rows.
_GROUPS = """
SELECT start, of_group.* FROM generate_series({first}, {end} - 1, {rows}) AS start
CROSS JOIN LATERAL (
    SELECT place.places, place.row_ids, words.* FROM (
        SELECT string_agg(int8send(candidate_id), '' ORDER BY ordinal) AS places,
            string_agg(row_id, '' ORDER BY ordinal) AS row_ids,
            array_agg(candidate_id) AS ids
        FROM feedback_releaserow
        WHERE release_id = '{release}' AND config = '{config}' AND split = '{split}'
            AND ordinal >= start AND ordinal < LEAST(start + {rows}, {end})
    ) place CROSS JOIN LATERAL (
        SELECT string_agg(int8send(id), '') AS found,
            string_agg(array_to_string(prompt_contents, ''), '') AS prompts,
            string_agg(chosen, '') AS chosen,
            string_agg(rejected, '') AS rejected,
            string_agg(particulars, '') AS particulars,
            string_agg(sizes, '') AS sizes,
            string_agg(prompt_sizes, '') AS prompt_sizes,
            string_agg(float4send(weight::float4), '') AS weight
        FROM feedback_candidaterow WHERE id = ANY(place.ids)
    ) words
    OFFSET 0
) of_group
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
    shape: int = SHAPE_VERSION

    @property
    def statement(self) -> str:
        # COPY takes no parameters; these are an id, names from our own lists, and numbers.
        return _GROUPS.format(
            release=uuid.UUID(str(self.release_id)),
            config=self.config,
            split=self.split,
            first=int(self.first),
            end=int(self.end),
            rows=ROWS_OF_GROUP,
        )


def trees(span: Span) -> Iterator[tuple[str, list[str], str]]:
    """(id, texts, what is known of each) of the trees in order."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(_TREES, [span.release_id, span.config, span.split, span.first, span.end])
        while found := cursor.fetchmany(TREES_AT_ONCE):
            yield from found


def pieces(span: Span) -> Generator[measures.Piece, None, None]:
    """The rows in order, in the shape of the span's config: up to `ROWS_AT_ONCE` at a time, fewer of large rows and
    at the end. Where they are cut depends on the rows alone. Close it, or a connection stays in use.

    Raises `columns.RowsMissingError` when the words of some are gone.
    """
    if connection.in_atomic_block:
        return _pieces(span, _groups(span, connection.connection))
    connection.ensure_connection()  # which opens the pool
    return _ahead(_pieces(span, _on_its_own(span, connection.pool, _parameters())))  # type: ignore[attr-defined]


def _pieces(span: Span, groups: Generator[columns.Sent, None, None]) -> Generator[measures.Piece, None, None]:
    with closing(groups):
        for sent in _together(groups):
            rows = columns.flat(sent)
            del sent  # of which nothing is left in the rows where they came in another order
            yield measures.counted(span.config, tables.nested(span.config, rows, span.shape))


def _together(groups: Iterable[columns.Sent]) -> Iterator[columns.Sent]:
    joined = columns.Joined(ROWS_AT_ONCE // ROWS_OF_GROUP, BYTES_AT_ONCE)
    for group in groups:
        joined.add(group)
        if joined.is_full:
            yield joined.taken()
    if joined.groups:
        yield joined.taken()


def _ahead(source: Generator[T, None, None]) -> Generator[T, None, None]:
    """The same, made by a thread that is one piece ahead."""
    with ThreadPoolExecutor(1) as reader:
        try:
            coming = reader.submit(next, source, None)
            while (piece := coming.result()) is not None:
                coming = reader.submit(next, source, None)
                yield piece
        finally:
            # Whoever stops early leaves a piece under way; the connection is given back where it was taken.
            reader.submit(_close, source)


def _close(source: Generator[T, None, None]) -> None:
    try:
        source.close()
    except Exception:  # nobody waits for it, and what made the reader stop is told already
        logger.exception("A connection that rows were read on was not given back")


def _on_its_own(
    span: Span, pool: ConnectionPool[Any], parameters: dict[str, Any]
) -> Generator[columns.Sent, None, None]:
    with _lent(pool, parameters) as database:
        yield from _groups(span, database)


def _lent(pool: ConnectionPool[Any], parameters: dict[str, Any]) -> AbstractContextManager[psycopg.Connection[Any]]:
    """One of the pool, which has been used before: a new one maps the server's memory anew, page by page. But a new one
    where half of the pool is in use: that is for requests and replies, and those who read hold another already."""
    counts = pool.get_stats()
    if 2 * (counts["pool_size"] - counts["pool_available"]) < counts["pool_max"]:
        return pool.connection(timeout=CONNECT_SECONDS)
    return psycopg.connect(**parameters)


def _parameters() -> dict[str, Any]:
    return {**connection.get_connection_params(), "connect_timeout": CONNECT_SECONDS, "autocommit": True}


def _groups(span: Span, database: psycopg.Connection[Any]) -> Generator[columns.Sent, None, None]:
    starts = iter(range(span.first, span.end, ROWS_OF_GROUP))
    with database.cursor() as cursor, cursor.copy(f"COPY ({span.statement}) TO STDOUT (FORMAT BINARY)") as copy:
        for start, *sent in columns.fields(copy):
            # Nothing says that they come in order, though nothing else is to be expected.
            if int.from_bytes(start) != next(starts):
                raise RuntimeError("the database sent the rows in another order than asked for")
            yield columns.Sent(*sent)
