"""The real processes against this run's test database: web, worker, scheduler, model service, simulated Stripe."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from honcho.environ import parse_procfile

from billing.models import Plan
from config.embedded import readiness
from config.embedded.lifetimes import stop_with_parent
from config.management.commands.bootstrap import NEVER_SERVED, fingerprint_of_static_files
from tests.stack.passwords import LIGHT_HASHER
from tests.stack.surroundings import ROOT, surroundings

PARTS = ("stripe", "inference", "worker", "scheduler", "web")
CHECKS = {
    "stripe": readiness.stripe_answers,
    "inference": readiness.inference_answers,
    "web": readiness.web_answers,
}
# The line by which a part without an address says that it works.
LINES = {"worker": " ready."}
DATABASES = ("postgres", "valkey")
START_SECONDS = 120
LOG_CHARACTERS = 3000
FRAME = re.compile(r'^  File "(.+?)"', re.MULTILINE)
# All that the stacks of those threads go through that wait for work.
IDLE_FILES = {
    *("threading.py", "queue.py", "concurrent/futures/thread.py"),
    *(f"psycopg_pool/{name}.py" for name in ("_acompat", "pool", "sched")),
}
NOWHERE = "http://127.0.0.1:9"  # the port of `discard`, which nobody serves
LONGEST_REPLY = 320  # tokens: some seconds, which is long enough to be caught in the middle
_running: list[Stack] = []  # the one of this run, once a test has asked for it


class Stack:
    """All of Parley, running. `env` is what its processes see; logs are kept below the run's folder."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.url = env["SITE_URL"]
        self.inference_url = env["INFERENCE_URL"]
        self.stripe_url = env["STRIPE_API_BASE"]
        self._commands = parse_procfile((ROOT / "Procfile").read_text()).processes
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._log_starts: dict[str, int] = {}

    # For tests -----------------------------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def is_alive(self, name: str) -> bool:
        return name in self._processes and self._processes[name].poll() is None

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends the part at once, with everything it started itself, and returns when it is gone.

        "postgres" and "valkey" can be killed too.
        """
        if name in DATABASES:
            surroundings.kill(name)
            return
        process = self._processes[name]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait(30)

    def start(self, *names: str) -> None:
        """Starts parts that are not running and returns once they work."""
        for name in names:
            if name in DATABASES:
                surroundings.start(name)
            elif not self.is_alive(name):
                self._spawn(name)
        self.wait_until_ready(*names)

    def restart(self, name: str) -> None:
        """`kill`, then `start`."""
        self.kill(name)
        self.start(name)

    def last_words(self, name: str) -> str:
        """Ends the part; where its threads were that did not just wait for work: one that hangs says nothing else.

        Python's own handler of a fatal signal writes it, which needs no thread of the worker's to be free.
        """
        if not self.is_alive(name):
            return ""
        before = len(self.logs(name))
        self.kill(name, signal.SIGABRT)
        said = re.sub(r"/\S+/site-packages/|/\S+/lib/python3[^/]+/", "", self.logs(name)[before:])
        threads = said.replace(f"{ROOT}/", "").split("\n\n")
        return "\n\n".join(thread for thread in threads if set(FRAME.findall(thread)) - IDLE_FILES)

    def logs(self, name: str) -> str:
        """Everything the part has printed in this run."""
        return self._log(name).read_text(errors="replace") if self._log(name).exists() else ""

    def wait_until_ready(self, *names: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        for name in set(names).difference(DATABASES):
            while not self._is_ready(name):
                if not self.is_alive(name) or time.monotonic() > deadline:
                    pytest.fail(f"{name} does not come up:\n{self.logs(name)[-4000:]}", pytrace=False)
                time.sleep(0.1)

    # Processes -----------------------------------------------------------------------------------------------------

    def _log(self, name: str) -> Path:
        return surroundings.logs / f"{name}.log"

    def _spawn(self, name: str) -> None:
        self._log_starts[name] = self._log(name).stat().st_size if self._log(name).exists() else 0
        with self._log(name).open("ab") as output:
            self._processes[name] = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {self._commands[name]}"],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: stop_with_parent(signal.SIGKILL),
            )

    def _is_ready(self, name: str) -> bool:
        if check := CHECKS.get(name):
            return check(self.env)
        if name not in LINES:
            return self.is_alive(name)
        return LINES[name].encode() in self._log(name).read_bytes()[self._log_starts[name] :]

    def close(self) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A failed test shows what the processes printed last, and what worker and web were at."""
    stack = getattr(item, "funcargs", {}).get("stack")
    logs = {name: stack.logs(name) for name in PARTS} if stack and call.when == "call" and call.excinfo else {}
    for name in ("worker", "web") if logs else ():
        if call.excinfo and (words := stack.last_words(name)):
            call.excinfo.value.add_note(f"The {name} was at:\n{words}")
    report = yield
    report.sections += [(f"end of the log of {name}", log[-LOG_CHARACTERS:]) for name, log in logs.items()]
    return report


@pytest.fixture(scope="session")
def running_stack(django_db_setup: None) -> Iterator[Stack]:
    """The processes, started once for the whole run. Tests ask for `stack`."""
    environment = environment_of_processes()
    _collect_static(environment)
    stack = Stack(environment)
    try:
        for name in PARTS:
            stack._spawn(name)
        stack.wait_until_ready(*PARTS)
        _running.append(stack)
        yield stack
    finally:
        _running.clear()
        stack.close()


@pytest.fixture
def stack(running_stack: Stack, transactional_db: None) -> Iterator[Stack]:
    """All of Parley, every part alive; what the test commits the processes see. Tables are emptied afterwards.

    No plan allows replies longer than LONGEST_REPLY: a small model goes on for as long as it may.
    """
    running_stack.start(*DATABASES, *PARTS)
    Plan.objects.update(max_output_tokens=LONGEST_REPLY)
    # The processes would store a light hash anew when it is first checked, which ends the sessions of its person.
    hashers = [hasher for hasher in settings.PASSWORD_HASHERS if hasher != LIGHT_HASHER]
    with override_settings(PASSWORD_HASHERS=hashers):
        yield running_stack


@pytest.fixture(autouse=True)
def _no_model_service_by_chance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that does not ask for `stack` has no model service, even if an earlier test has started it."""
    if "running_stack" not in request.fixturenames:
        monkeypatch.setattr(settings, "INFERENCE_URL", NOWHERE)


@pytest.fixture
def alone(transactional_db: None) -> None:
    """No process but this one works off the test database's queues, so that what is put there stays for the test.

    The worker and the scheduler of an earlier test would take it too, and ask another Stripe about it. They come back
    with the next test that wants `stack`.
    """
    for stack in _running:
        for name in ("scheduler", "worker"):
            if stack.is_alive(name):
                stack.kill(name)


def environment_of_processes() -> dict[str, str]:
    """What the processes see: this run's own addresses, and the test database."""
    address = urlsplit(os.environ["DATABASE_URL"])
    name = connection.settings_dict["NAME"]  # pytest-django has put the test database's name here
    return {
        **os.environ,
        "DATABASE_URL": urlunsplit(address._replace(path=f"/{name}")),
        "WEBHOOK_NETWORKS": "127.0.0.0/8",  # receivers of tests
        "STRIPE_WEBHOOK_URL": f"{os.environ['SITE_URL']}/billing/webhook",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }


def _collect_static(environment: dict[str, str]) -> None:
    """Hashed and compressed as in production; kept for later runs, because compressing takes a while."""
    kept = ROOT / "var" / "test-static" / fingerprint_of_static_files()
    if not kept.exists():
        command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
        subprocess.run(
            [*command, *(f"--ignore={name}" for name in NEVER_SERVED)], cwd=ROOT, env=environment, check=True
        )
        shutil.rmtree(kept.parent, ignore_errors=True)
        half_copied = ROOT / "var" / f"test-static.{os.getpid()}"
        shutil.copytree(settings.STATIC_ROOT, half_copied)
        kept.parent.mkdir(exist_ok=True)
        with suppress(OSError):  # another run was first
            half_copied.rename(kept)
        shutil.rmtree(half_copied, ignore_errors=True)
    else:
        shutil.copytree(kept, settings.STATIC_ROOT, dirs_exist_ok=True)
