"""What would stop an install from starting, found before anything starts and said in words."""

from __future__ import annotations

import errno
import os
import shutil
import time
from itertools import combinations
from pathlib import Path

from config.embedded.addresses import Install, Listener
from config.embedded.sockets import refusal

FREE_BYTES_NEEDED = 500_000_000


def require_space(var: Path) -> None:
    """Raises RuntimeError when the disk under `var` is (nearly) full, or `var` cannot be written."""
    try:
        var.mkdir(parents=True, exist_ok=True)
        probe = var / f".write-{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
    except PermissionError as error:
        raise RuntimeError(
            f"{var} cannot be written by this account: run as its owner, or set PARLEY_VAR to a folder of yours."
        ) from error
    except OSError as error:
        raise RuntimeError(
            f"{var} cannot be written: {error.strerror}. Free some space there, or set PARLEY_VAR to another folder."
        ) from error
    free = shutil.disk_usage(var).free
    if free < FREE_BYTES_NEEDED:
        raise RuntimeError(
            f"The disk under {var} has {free / 1e6:.0f} MB left; PostgreSQL, Valkey and the model need "
            f"{FREE_BYTES_NEEDED / 1e6:.0f} MB. Free some space, or set PARLEY_VAR to a folder on another disk."
        )


def require_ports(install: Install, *, patience: float = 3.0) -> None:
    """Raises RuntimeError naming each port that cannot be opened; waits for one that is just being let go."""
    listeners = install.listeners
    for first, second in combinations(listeners, 2):
        if first.port == second.port:
            raise RuntimeError(f"{first.variable} and {second.variable} are both {first.port}: choose another for one.")
    deadline = time.monotonic() + patience
    while refused := [(each, error) for each in listeners if (error := refusal(each.port, host=each.host))]:
        if time.monotonic() > deadline or not any(error.errno == errno.EADDRINUSE for _, error in refused):
            raise RuntimeError("\n".join(_what_to_do(each, error) for each, error in refused))
        time.sleep(0.2)


def _what_to_do(listener: Listener, error: OSError) -> str:
    variable, host, port = listener.variable, listener.host, listener.port
    if error.errno == errno.EADDRINUSE:
        other = port + 100 if port + 100 < 65536 else port - 100
        return (
            f"Port {port} is taken by another program. Stop that program, or choose another port: "
            f"{variable}={other} make run"
        )
    if error.errno == errno.EACCES:
        return (
            f"{variable}={port}: only root may open ports so low. Choose one from 1024 up, and have a proxy or the "
            f"firewall lead there: {variable}={8000 + port % 1000} make run"
        )
    return (
        f"{variable}={port} cannot be opened on {host}: {error.strerror or error}. Is that an address of this machine?"
    )
