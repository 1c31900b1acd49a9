"""`python -m config.embedded exec`: a command with the databases up, as docs/operations.md has people type it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded.accounts import remove_folder
from tests.stack.surroundings import ROOT


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    var = tmp_path_factory.mktemp("exec") / "var"
    yield var
    remove_folder(var / "postgres")


def execute(var: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "config.embedded", "exec", *command],
        cwd=ROOT,
        env={**inherited, "PARLEY_VAR": str(var), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_the_programs_of_the_environment_and_of_postgresql_come_first(var: Path) -> None:
    done = execute(var, "sh", "-c", 'command -v python && pg_dump "$DATABASE_URL" && pg_dump --version')
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(str(Path(sys.executable).parent))
    assert "PostgreSQL database dump complete" in done.stdout
    assert "(PostgreSQL) 18." in done.stdout


def test_a_server_of_ones_own_is_left_in_its_place(var: Path) -> None:
    own = "postgresql://ann@db.example/parley"
    done = execute(var, "sh", "-c", 'echo "$DATABASE_URL $VALKEY_URL"', DATABASE_URL=own)
    assert done.stdout.startswith(f"{own} redis://")


def test_no_command_is_said_to_be_missing(var: Path) -> None:
    done = execute(var)
    assert done.returncode == 2
    assert "the following arguments are required: command" in done.stdout


def test_a_command_of_the_site_without_its_database_is_told_how_to_have_it(var: Path) -> None:
    nobody = {"DATABASE_URL": "postgresql://ann@127.0.0.1:9/parley", "VALKEY_URL": "redis://127.0.0.1:9"}
    done = execute(var, "python", "manage.py", "release", "list", **nobody, DATABASE_POOL_SECONDS="1")
    assert done.returncode == 1
    assert "config.embedded exec python manage.py release list" in done.stdout
    assert "Traceback" not in done.stdout
