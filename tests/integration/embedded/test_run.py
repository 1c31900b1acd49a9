"""`make run` from outside: a copy of it with small processes, watched as a person would watch it."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.embedded.accounts import remove_folder
from config.embedded.addresses import Listener
from config.embedded.preflight import _what_to_do, require_space
from config.embedded.sockets import free_port, refusal
from tests.stack.surroundings import ROOT

Run = Callable[..., "Running"]
READY = r"Parley is ready after"
SIGN_IN = r"sign in as admin@parley\.local with the password (\S+)"


class Running:
    """One `python -m config.embedded run`, its output in a file."""

    def __init__(self, var: Path, log: Path, **environment: str) -> None:
        self.log = log
        elsewhere = {"INFERENCE_URL": "http://127.0.0.1:9"}  # the model is not what these tests are about
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.embedded", "run"],
                cwd=ROOT,
                env={**inherited, **elsewhere, "PARLEY_VAR": str(var), **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, pattern: str, *, seconds: float = 240, after: int = 0) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text[after:])):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"never printed {pattern!r}:\n{self.text[-4000:]}", pytrace=False)
            time.sleep(0.1)
        return found

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    var = tmp_path_factory.mktemp("run") / "a folder with spaces" / "var"
    yield var
    remove_folder(var / "postgres")


@pytest.fixture
def run(var: Path, tmp_path: Path) -> Iterator[Run]:
    started: list[Running] = []

    def start(**environment: str) -> Running:
        for variable in ("PORT", "STRIPE_PORT"):
            environment.setdefault(variable, str(free_port()))
        running = Running(var, tmp_path / f"run-{len(started)}.log", **environment)
        started.append(running)
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
    _wait_until_gone(var)


def _belonging_to(var: Path) -> list[int]:
    """The processes whose command line or environment names this install's folder, or the one PostgreSQL's lies in."""
    places = {str(var).encode(), str((var / "postgres").resolve()).encode()}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            if any(place in text for place in places):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _wait_until_gone(var: Path, seconds: float = 20) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := _belonging_to(var)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


@pytest.mark.slow
def test_it_starts_mends_itself_leaves_nothing_behind_and_remembers_everything(run: Run, var: Path) -> None:
    first = run(WEB_HOST="127.0.0.2")
    first.until(READY)
    first.until(r"INFERENCE_URL: nobody answers at http://127\.0\.0\.1:9 ")
    sign_in = first.until(SIGN_IN).group(1)
    for title, pattern in (("the web", b"uvicorn"), ("PostgreSQL", b"postgres\0-D")):
        _what_crashes_is_started_again(first, var, title, pattern)
    first.process.kill()
    first.process.wait()
    assert _wait_until_gone(var) == [], "something stays behind when it is killed itself"

    second = run()
    second.until(READY)
    assert second.until(SIGN_IN).group(1) == sign_in
    assert second.stop() == 0
    assert _wait_until_gone(var, seconds=5) == []


def _what_crashes_is_started_again(running: Running, var: Path, title: str, pattern: bytes) -> None:
    before = len(running.text)
    [victim] = [
        number
        for number in _belonging_to(var)
        if pattern in Path(f"/proc/{number}/cmdline").read_bytes() and _parent(number) == running.process.pid
    ]
    os.kill(victim, signal.SIGKILL)
    running.until(rf"{title} ended \(killed by SIGKILL\); starting it again in 0\.5 s", after=before)
    if title == "PostgreSQL":
        running.until(r"database system is ready to accept connections", after=before)


@pytest.mark.slow
def test_a_second_start_names_the_first_which_stops_cleanly_while_it_starts(run: Run, var: Path) -> None:
    port = free_port()
    first = run(PORT=str(port))
    first.until(r"starting PostgreSQL")
    second = run(PORT=str(free_port()))
    assert second.process.wait(60) == 1
    assert f"already running from this folder: process {first.process.pid} at http://127.0.0.1:{port}" in second.text
    assert first.stop() == 0
    assert "Traceback" not in first.text + second.text
    assert _wait_until_gone(var, seconds=5) == []


def test_a_taken_port_is_named_with_what_to_do(run: Run) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        refused = run(PORT=str(port))
        assert refused.process.wait(60) == 1
    assert f"Port {port} is taken by another program." in refused.text
    assert "make run" in refused.text
    assert "Traceback" not in refused.text


def test_a_port_that_is_no_port_is_refused(run: Run) -> None:
    refused = run(PORT="eighty")
    assert refused.process.wait(60) == 1
    assert "PORT='eighty' is not a port" in refused.text


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match=rf"{tmp_path}/file cannot be written: .*set PARLEY_VAR to another folder"):
        require_space(tmp_path / "file")


def test_two_parts_on_one_port_are_named(run: Run) -> None:
    port = str(free_port())
    refused = run(PORT=port, STRIPE_PORT=port)
    assert refused.process.wait(60) == 1
    assert f"STRIPE_PORT and PORT are both {port}" in refused.text


def test_a_wrong_address_of_a_server_is_said_before_anything_starts(run: Run) -> None:
    refused = run(DATABASE_URL=f"postgresql://ann:secret@127.0.0.1:{free_port()}/parley")
    assert refused.process.wait(60) == 1
    assert "parley: DATABASE_URL: PostgreSQL cannot be used there." in refused.text
    assert "starting" not in refused.text


def test_a_port_for_root_alone_and_an_address_of_another_machine_are_no_taken_ports() -> None:
    low = _what_to_do(Listener("PORT", "127.0.0.1", 80), PermissionError(errno.EACCES, "Permission denied"))
    assert "only root may open ports so low" in low
    assert "PORT=8080 make run" in low
    elsewhere = refusal(free_port(), host="192.0.2.1")
    assert elsewhere is not None
    assert "cannot be opened on 192.0.2.1" in _what_to_do(Listener("PORT", "192.0.2.1", 8000), elsewhere)


def _parent(number: int) -> int:
    return int(Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[1])
