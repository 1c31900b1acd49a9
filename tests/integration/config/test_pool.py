"""A pooled connection is looked at before the server is asked, and one that the server closed is never handed out."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from config import pool

pytestmark = pytest.mark.usefixtures("django_db_setup")  # which starts the server


@pytest.fixture
def connections() -> Iterator[ConnectionPool]:
    address = os.environ["DATABASE_URL"]
    with ConnectionPool(address, min_size=1, max_size=1, check=ConnectionPool.check_connection) as opened:
        yield opened


def backend(connections: ConnectionPool) -> int:
    with connections.connection() as connection:
        return connection.info.backend_pid


def test_every_pool_of_django_checks_in_this_way() -> None:
    assert ConnectionPool.check_connection is pool.check


def test_a_connection_that_stands_is_handed_out_without_asking(
    connections: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = backend(connections)
    asked: list[object] = []
    monkeypatch.setattr(pool, "_ask_the_server", asked.append)
    assert backend(connections) == first
    assert not asked


def test_one_that_lay_idle_for_long_is_asked(connections: ConnectionPool, monkeypatch: pytest.MonkeyPatch) -> None:
    backend(connections)
    asked: list[object] = []
    monkeypatch.setattr(pool, "_ask_the_server", asked.append)
    monkeypatch.setattr(pool, "TRUSTED_SECONDS", 0.0)
    backend(connections)
    assert len(asked) == 1


def test_one_that_the_server_closed_is_replaced(connections: ConnectionPool) -> None:
    first = backend(connections)
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [first]).fetchone() == (True,)
    second = backend(connections)
    assert second != first


def test_when_the_server_closed_them_all_the_first_to_ask_has_a_new_one() -> None:
    with ConnectionPool(
        os.environ["DATABASE_URL"], min_size=8, check=ConnectionPool.check_connection, open=True
    ) as opened:
        opened.wait()
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
            found = [pooled.info.backend_pid for pooled in opened._pool]
            for pid in found:
                assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)
        with opened.connection(timeout=5) as connection:  # the third pause of a pool left alone ends after seven
            assert connection.info.backend_pid not in found
        assert len(found) == 8


def test_one_that_has_something_to_say_is_asked_and_kept(connections: ConnectionPool) -> None:
    with connections.connection() as connection:
        connection.autocommit = True
        connection.execute("LISTEN news")
        first = connection.info.backend_pid
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
        other.execute("NOTIFY news")
    assert backend(connections) == first


def test_one_that_is_closed_here_is_refused() -> None:
    connection = psycopg.connect(os.environ["DATABASE_URL"])
    connection.close()
    with pytest.raises(psycopg.OperationalError):
        pool.check(connection)
