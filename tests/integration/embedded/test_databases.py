"""PostgreSQL and Valkey from their wheels: killed with SIGKILL, in deep folders, private to their owner."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from config.embedded.accounts import remove_folder
from config.embedded.postgres import Postgres
from config.embedded.sockets import free_port, is_free
from config.embedded.valkey import Valkey


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def postgres(home: Path) -> Iterator[Postgres]:
    home.mkdir()
    server = Postgres(home / "postgres")
    server.start(home / "log")
    yield server
    server.stop()
    remove_folder(home / "postgres")


@pytest.fixture
def valkey(home: Path) -> Iterator[Valkey]:
    home.mkdir()
    server = Valkey(home / "valkey")
    server.start(home / "log")
    yield server
    server.stop()


def test_what_was_committed_survives_a_killed_postgres(postgres: Postgres, home: Path) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept (number integer)")
        connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
    os.kill(postgres.pid, signal.SIGKILL)
    postgres.stop()

    again = Postgres(home / "postgres")
    again.start(home / "log")
    try:
        with psycopg.connect(again.url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
    finally:
        again.stop()


def test_the_role_of_the_application_is_no_superuser_and_the_address_is_needed(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute("SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user").fetchone()
        assert row == (False, True)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url, password="wrong")


def test_only_the_owner_can_enter_the_data_folder_and_read_the_password(postgres: Postgres, home: Path) -> None:
    place = (home / "postgres").resolve()
    for path, mode in ((place, 0o700), (place / "data", 0o700), (place / "password", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_parent_that_others_may_not_enter_keeps_its_mode(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = Postgres(closed / "postgres", durable=False)
    server.start(tmp_path / "log")
    try:
        psycopg.connect(server.url).close()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        server.stop()
        remove_folder(closed / "postgres")


def test_a_path_too_long_for_a_socket_gets_a_short_private_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("long-name-" * 9)
    deep.mkdir()
    server = Postgres(deep / "Mit Leerzeichen & Großbuchstaben", durable=False)
    server.start(tmp_path / "log")
    try:
        with psycopg.connect(server.url) as connection:
            folder = Path(connection.info.host)
        assert len(os.fsencode(folder)) < 100
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        server.stop()
        remove_folder(deep / "Mit Leerzeichen & Großbuchstaben")


def test_a_half_made_cluster_is_made_again(postgres: Postgres, home: Path) -> None:
    postgres.stop()
    place = (home / "postgres").resolve()
    (place / "data").rename(place / "data.new")
    (place / "data.new" / "PG_VERSION").unlink()

    again = Postgres(home / "postgres", durable=False)
    again.start(home / "log")
    try:
        psycopg.connect(again.url).close()
    finally:
        again.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands PostgreSQL to another account")
def test_data_that_lies_where_the_account_may_not_enter_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    with pytest.raises(RuntimeError, match=r"may not enter .* mv "):
        Postgres(tmp_path / "postgres").prepare()


def test_a_user_without_a_name_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)
    with pytest.raises(RuntimeError, match=r"user 54321 has none.* set DATABASE_URL"):
        Postgres(tmp_path / "postgres").prepare()


def test_what_was_written_survives_a_killed_valkey(valkey: Valkey, home: Path) -> None:
    with redis.Redis.from_url(valkey.url) as connection:
        connection.set("kept", "yes")
        process_id = connection.info("server")["process_id"]
    os.kill(process_id, signal.SIGKILL)
    valkey.stop()

    again = Valkey(home / "valkey")
    again.start(home / "log")
    try:
        assert again.url == valkey.url
        with redis.Redis.from_url(again.url) as connection:
            assert connection.get("kept") == b"yes"
    finally:
        again.stop()


def test_valkey_wants_the_password(valkey: Valkey) -> None:
    without = valkey.url.replace(valkey.url.split("@")[0], "redis://", 1).replace("redis://@", "redis://")
    with redis.Redis.from_url(without) as connection, pytest.raises(redis.AuthenticationError):
        connection.ping()


def test_valkey_moves_when_its_port_was_taken_meanwhile(home: Path) -> None:
    import socket

    server = Valkey(home / "valkey")
    server.prepare()
    before = server.url
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", int(before.rsplit(":", 1)[1].split("/")[0])))
        squatter.listen()
        server.prepare()
    assert server.url != before


def test_a_free_port_is_free() -> None:
    assert is_free(free_port())
