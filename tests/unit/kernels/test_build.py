"""Building the library: once, by whoever comes first, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inference.kernels import build
from inference.kernels.native import open_library

BUILD_PORTABLE = """
import sys
from pathlib import Path
from inference.kernels import build
build.COMMON_FLAGS = (*build.COMMON_FLAGS, "-O0")  # quickly
print(build.compiled("portable", cache=Path(sys.argv[1])))
"""


@pytest.fixture
def compiler() -> str:
    try:
        return build.find_compiler()
    except build.KernelsUnavailableError:
        pytest.skip("needs a C++ compiler")


@pytest.mark.slow
def test_two_builders_at_once_end_with_one_library(tmp_path: Path, compiler: str) -> None:
    command = [sys.executable, "-c", BUILD_PORTABLE, str(tmp_path)]
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {builder.communicate(timeout=120)[0].strip() for builder in builders}
    assert len(paths) == 1
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".so"] == [Path(paths.pop()).name]
    assert not list(tmp_path.glob(".build-*"))


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(build.KernelsUnavailableError, match="apt-get install g"):
        build.compiled(cache=tmp_path)


def test_a_compiler_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken-compiler"
    broken.write_text("#!/bin/sh\necho 'fatal error: out of ideas' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(build.KernelsUnavailableError, match="out of ideas"):
        build.compiled(cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.so"))


def test_a_damaged_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "decoder.so"
    path.write_bytes(b"not a library")
    with pytest.raises(build.KernelsUnavailableError, match="cannot be loaded"):
        open_library(path)
