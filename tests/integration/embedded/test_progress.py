"""Somebody who watches `make run` sees that it goes on, also while a step has nothing to say for long."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.embedded import install, supervisor
from config.embedded.supervisor import Log, Supervisor
from tests.stack.surroundings import ROOT

QUIET = ("/bin/sh", "-c", "sleep 1; echo the end")


def test_a_step_without_words_is_said_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "LONGEST_SILENCE", 0.2)

    async def step() -> None:
        running = Supervisor(folder=tmp_path, environment=os.environ, log=Log(["parley", "set-up"]))
        await running.run_once("set-up", *QUIET)

    asyncio.run(step())
    before, _, after = capsys.readouterr().out.partition("the end")
    assert "set-up goes on (" in before
    assert "goes on" not in after


def test_a_long_question_to_pip_is_said_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "LONGEST_SILENCE", 0.2)
    asked = subprocess.Popen(QUIET, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert install._output_of(asked, meanwhile="still looking") == ("the end\n", "")
    assert "install | still looking" in capsys.readouterr().out


HOLDER = """
import sys
from pathlib import Path
from config.embedded import install
with install._one_at_a_time(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
    Path(sys.argv[2]).touch()
"""


def test_a_second_make_waits_for_the_first_to_have_installed_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "LONGEST_SILENCE", 0.2)
    folder, done = tmp_path / "elsewhere" / "venv", tmp_path / "done"
    command, pipe = [sys.executable, "-c", HOLDER, str(folder), str(done)], subprocess.PIPE
    first = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    assert first.stdin is not None
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    say = install._say

    def say_and_let_go(text: str) -> None:
        say(text)
        if not first.stdin.closed:
            first.stdin.close()

    monkeypatch.setattr(install, "_say", say_and_let_go)
    with install._one_at_a_time(folder):
        assert done.exists()
    assert first.wait(20) == 0
    first.stdout.close()
    assert "another make is installing into the same environment; waiting for it" in capsys.readouterr().out
    assert list(folder.parent.iterdir()) == []
