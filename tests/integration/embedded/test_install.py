"""What would stop an installation, found before anything is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from config.embedded import install
from tests.stack.surroundings import ROOT


def test_a_disk_too_small_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VENV", str(tmp_path / "venv"))
    monkeypatch.setattr(install, "FREE_BYTES_NEEDED", 10**18)
    (tmp_path / "venv" / "half-made").mkdir(parents=True)
    with pytest.raises(SystemExit, match="1"):
        install.main([])
    said = capsys.readouterr()
    assert f"The disk under {tmp_path} has " in said.err
    assert "make run VENV=/path/on/it" in said.err
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_the_environment_is_made_says_that_it_goes_on_later(tmp_path: Path) -> None:
    installing = subprocess.Popen(
        # Where the tests run in the background of a shell, Ctrl-C is ignored, and would be by what they start.
        ["env", "--default-signal=INT", sys.executable, "config/embedded/install.py"],
        cwd=ROOT,
        env={**os.environ, "VENV": str(tmp_path / "venv")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / "venv" / "bin" / "python").exists():  # pip comes last, and takes seconds
        assert installing.poll() is None
    os.killpg(installing.pid, signal.SIGINT)
    output, errors = installing.communicate(timeout=30)
    assert installing.returncode == 130
    assert "making the virtual environment" in output
    assert errors == "\nparley: stopped; the same command goes on from here.\n"


def test_without_debian_s_venv_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError('Debian ships it apart')")
    installed = installing(VENV=str(tmp_path / "venv"), PYTHONPATH=str(tmp_path))
    assert installed.returncode == 1
    assert "apt install python3-venv" in installed.stderr
    assert not (tmp_path / "venv").exists()


def test_without_a_network_it_says_so_and_how_to_name_a_mirror(tmp_path: Path) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    installed = installing(VENV=str(tmp_path / "venv"), HOME=str(tmp_path), **nowhere)
    assert installed.returncode == 1
    assert "pip cannot reach the package index" in installed.stderr
    assert "it goes on where it stopped" in installed.stderr


def installing(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "config/embedded/install.py"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """Of an environment that holds pip alone."""
    venv.create(tmp_path / "venv", with_pip=True)
    return tmp_path / "venv" / "bin" / "python"


def wheel_of_torch(folder: Path, *, version: str, needs: str) -> None:
    """A wheel of that name with nothing in it but its metadata."""
    metadata = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\nRequires-Dist: {needs}\n"
    described = f"torch-{version}.dist-info"
    with ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{described}/METADATA", metadata)
        wheel.writestr(f"{described}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{described}/RECORD", "")


def test_a_machine_without_a_gpu_never_fetches_cuda(
    tmp_path: Path, bare_python: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (pinned,) = (name for name in install._requirements([])[0] if name.startswith("torch=="))
    version = pinned.removeprefix("torch==")
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(tmp_path), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    for name in ("TORCH", "TORCH_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(install, "_has_gpu", lambda: False)
    wheel_of_torch(tmp_path, version=version, needs="nvidia-cublas-cu13")
    with pytest.raises(SystemExit):
        install._install_torch(bare_python)
    assert "make run TORCH_INDEX=<that address>" in capsys.readouterr().err
    monkeypatch.setenv("TORCH", "cuda")
    install._install_torch(bare_python)
    monkeypatch.delenv("TORCH")
    wheel_of_torch(tmp_path, version=f"{version}+cpu", needs="filelock")
    install._install_torch(bare_python)
