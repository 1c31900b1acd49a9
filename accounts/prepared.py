"""Statements that somebody waits for at every message: each connection has the database parse and plan them once.

Django writes the values into the text of a statement, so that to the database each is a new one. For these few, which
are long, that was most of their time, here and there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connection
from django.db.backends.utils import CursorWrapper
from django.db.models import NOT_PROVIDED, AutoField, Field, Model
from psycopg.types.numeric import Int8

Row = TypeVar("Row", bound=Model)


class _PreparedCursor(psycopg.Cursor[tuple[Any, ...]]):
    def execute(self, query: Any, params: Any = None, **_options: Any) -> _PreparedCursor:
        return super().execute(query, params, prepare=True)


def fetch(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows that the statement gives for the named `values`.

    The setting `prepare_threshold` says whether anything is prepared: a pooler between may not be able to.
    """
    try:
        return _fetch(statement, values)
    except NotSupportedError:
        # A migration gave a column another type, which the plan that this connection keeps does not know. With a
        # rollback psycopg forgets all plans: that of a transaction is its caller's.
        if connection.in_atomic_block:
            raise
        connection.connection.execute("ROLLBACK")
        return _fetch(statement, values)


def _fetch(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        _prepare(cursor)
        cursor.execute(statement, {name: _sized(value) for name, value in values.items()})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def insert(*rows: Model) -> None:
    """Store new rows of one model, their values as they are; no signal is sent.

    Raises `TypeError` for a model of which a field or the database makes values while they are stored.
    """
    fields = rows[0]._meta.concrete_fields
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        _prepare(cursor)
        cursor.execute(_insertion(type(rows[0]), len(rows)), [_sized(value) for value in values])
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def columns(model: type[Model], *, of: str) -> str:
    """The model's columns in its table `of`, for a statement whose rows `made` takes.

    By name: a prepared statement cannot give more of them once the table is altered under it.
    """
    return ", ".join(f"{of}.{field.column}" for field in model._meta.concrete_fields)


def made(model: type[Row], values: Sequence[Any]) -> Row:
    """The row of the model whose `columns` have these values."""
    read = list(values)
    for at, convert in _converters(model):
        read[at] = convert(read[at], None, connection)
    return model.from_db(DEFAULT_DB_ALIAS, _names(model), read)


def _prepare(cursor: CursorWrapper) -> None:
    # What Django has put around it stays: errors, counting.
    cursor.cursor = _PreparedCursor(connection.connection)


@lru_cache(maxsize=64)
def _insertion(model: type[Model], count: int) -> str:
    fields = model._meta.concrete_fields
    if odd := [field.name for field in fields if _makes_its_own(field)]:
        raise TypeError(f"{model.__name__} has fields that are stored otherwise than they are: {', '.join(odd)}")
    names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    values = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * count)
    return f"INSERT INTO {model._meta.db_table} ({names}) VALUES {values}"  # noqa: S608 - our own names


def _makes_its_own(field: Field[Any, Any]) -> bool:
    """Whether the field or the database makes a value while it is stored."""
    is_by_field = getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    has_default = getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED
    is_by_database = has_default or field.generated or isinstance(field, AutoField)
    return bool(is_by_field or is_by_database)


@lru_cache(maxsize=64)
def _names(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


@lru_cache(maxsize=64)
def _converters(model: type[Model]) -> list[tuple[int, Callable[[Any, Any, Any], Any]]]:
    """Of columns that Django reads otherwise than the database gives them, such as JSON: where, and how."""
    fields = enumerate(model._meta.concrete_fields)
    return [(at, field.from_db_value) for at, field in fields if hasattr(field, "from_db_value")]


def _sized(value: Any) -> Any:
    """Numbers are of one type whatever their size, or there would be a plan for each combination of sizes."""
    return Int8(value) if type(value) is int else value
