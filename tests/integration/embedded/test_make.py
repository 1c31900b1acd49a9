"""The Makefile with an environment in a folder whose name has a space."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stack.surroundings import ROOT

TARGETS = ("run", "test", "coverage", "lint", "format", "bench", "faults", "audit", "clean")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def make(place: Path, *arguments: str) -> str:
    return subprocess.run(
        ["make", *arguments, "VENV=my venv"], cwd=place, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


@pytest.mark.parametrize("target", TARGETS)
def test_every_command_is_given_the_environment_whole(place: Path, target: str) -> None:
    commands = make(place, "--dry-run", target)
    assert "my venv" in commands
    assert re.findall(r"(?<![\"=])my venv", commands) == []


def test_cleaning_removes_that_folder_and_no_other(place: Path) -> None:
    for name in ("my", "venv", "my venv"):
        (place / name).mkdir()
    make(place, "clean")
    assert sorted(entry.name for entry in place.iterdir()) == ["Makefile", "my", "venv"]
