"""NVIDIA's package, or a plain reason why its tests are skipped, and a small checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.inference.test_model_agreement import save_random_checkpoint


@pytest.fixture(scope="session")
def trt() -> Any:
    """The tensorrt_rtx module; it needs no GPU to write networks and build plans."""
    return pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx has wheels for x86-64 Linux and Windows only")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    save_random_checkpoint(folder, "Llama", {})
    return folder
