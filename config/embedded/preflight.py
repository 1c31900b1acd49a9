"""What would stop an install from starting, found before anything starts and said in words."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from config.embedded.addresses import Install
from config.embedded.sockets import is_free

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
    free = shutil.disk_usage(var).free
    if free < FREE_BYTES_NEEDED:
        raise RuntimeError(
            f"The disk under {var} has {free / 1e6:.0f} MB left; PostgreSQL, Valkey and the model need "
            f"{FREE_BYTES_NEEDED / 1e6:.0f} MB. Free some space, or set PARLEY_VAR to a folder on another disk."
        )


def require_ports(install: Install, *, patience: float = 3.0) -> None:
    """Raises RuntimeError naming each port somebody else listens on; waits for one that is just being let go."""
    deadline = time.monotonic() + patience
    while taken := {name: port for name, port in install.ports.items() if not is_free(port)}:
        if time.monotonic() > deadline:
            lines = [
                f"Port {port} is taken by another program. Stop that program, or choose another port: "
                f"{name}={port + 100} make run"
                for name, port in taken.items()
            ]
            raise RuntimeError("\n".join(lines))
        time.sleep(0.2)
