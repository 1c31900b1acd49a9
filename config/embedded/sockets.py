"""Short private folders for Unix sockets, and free ports."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import stat
import tempfile
from pathlib import Path

# sun_path holds 108 bytes with its closing NUL; PostgreSQL appends "/.s.PGSQL.5432" and, while locking, ".lock".
LONGEST_FOLDER = 107 - len("/.s.PGSQL.65535.lock")
PORTS = range(10_000, 32_768)


def socket_folder(wanted: Path, *, owner: int, group: int) -> Path:
    """`wanted`, or a short folder in the temporary directory when a socket's path below `wanted` would be too long.

    The folder belongs to `owner` and is closed to all others. Raises RuntimeError if somebody else made it first.
    """
    folder = wanted
    if len(os.fsencode(folder)) > LONGEST_FOLDER:
        name = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"parley-{name}"
        if len(os.fsencode(folder)) > LONGEST_FOLDER:
            folder = Path("/tmp") / f"parley-{name}"  # noqa: S108 - private: checked below
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, owner, group)
    except FileExistsError:
        pass
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or stat.S_IMODE(status.st_mode) & 0o077:
        raise RuntimeError(f"{folder} belongs to somebody else or is open to others: remove it and start again.")
    return folder


def free_port() -> int:
    """A loopback port that nobody listens on right now.

    It lies below those that Linux gives to outgoing connections: one of these could take the port of a server that is
    about to start, or to start again.
    """
    return next(port for port in random.sample(PORTS, len(PORTS)) if is_free(port))


def is_free(port: int, *, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port."""
    return refusal(port, host=host) is None


def refusal(port: int, *, host: str) -> OSError | None:
    """Why no server of this account could listen there; None when one could."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None
