"""What would stop an installation, found before anything is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

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
