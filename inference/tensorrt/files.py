"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

READABLE = 0o644
"""By whoever runs the service, who need not be whoever built."""


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path`; whoever reads it meanwhile sees what was there before."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        os.fchmod(handle, READABLE)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
