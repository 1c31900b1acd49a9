"""NVIDIA's package, or a plain reason why its tests are skipped."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def trt() -> Any:
    """The tensorrt_rtx module; it needs no GPU to write networks and build plans."""
    return pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx has wheels for x86-64 Linux and Windows only")
