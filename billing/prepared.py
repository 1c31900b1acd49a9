"""Statements that somebody waits for at every message: each connection has the database parse and plan them once.

Django writes the values into the text of a statement, so that to the database each is a new one. For these few, which
are long, that was most of their time, here and there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection
from psycopg.types.numeric import Int8


class _PreparedCursor(psycopg.Cursor[tuple[Any, ...]]):
    def execute(self, query: Any, params: Any = None, **_options: Any) -> _PreparedCursor:
        return super().execute(query, params, prepare=True)


def fetch(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows that the statement gives for the named `values`.

    The setting `prepare_threshold` says whether anything is prepared: a pooler between may not be able to.
    """
    with connection.cursor() as cursor:
        cursor.cursor = _PreparedCursor(connection.connection)  # what Django has put around it stays: errors, counting
        cursor.execute(statement, {name: _sized(value) for name, value in values.items()})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _sized(value: Any) -> Any:
    """Numbers are of one type whatever their size, or there would be a plan for each combination of sizes."""
    return Int8(value) if type(value) is int else value
