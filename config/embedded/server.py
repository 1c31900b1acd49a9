"""A database server as a child process: start it and wait until it answers, stop it, kill it."""

from __future__ import annotations

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from config.embedded.lifetimes import stop_with_parent

# Neither server tells when it is ready: it is asked, often enough that nobody notices the pause.
ASK_AGAIN_SECONDS = 0.05


class NotAnswering(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """The server does not answer yet."""


class Server(ABC):
    """What PostgreSQL and Valkey have in common. A subclass says what to run and how to ask whether it answers."""

    title: str
    stop_signal: signal.Signals

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Makes whatever the first start needs."""

    @property
    @abstractmethod
    def _command(self) -> list[str]:
        """The server's program and its arguments."""

    def _surroundings(self) -> dict[str, Any]:
        """More arguments for `subprocess.Popen`: account, folder, environment."""
        return {}

    @abstractmethod
    def _ask(self) -> None:
        """Raises `NotAnswering` until the server answers."""

    def start(self, log: Path) -> None:
        """Starts the server as a child of this process, which must outlive it, and waits until it answers."""
        self.prepare()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: stop_with_parent(self.stop_signal),
                **self._surroundings(),
            )
        self.wait(log=log)

    def wait(self, *, log: Path | None = None, seconds: float = 60) -> None:
        """Returns once the server answers; raises RuntimeError if the one started here ends, or the time is up."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._ask()
            except NotAnswering as error:
                if self._process and self._process.poll() is not None:
                    raise RuntimeError(f"{self.title} ended at once:\n{log.read_text() if log else error}") from error
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.title} did not answer within {seconds:.0f} s: {error}") from error
                time.sleep(ASK_AGAIN_SECONDS)

    def kill(self) -> None:
        """Ends what `start` started as a power cut would, and returns when it is gone."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self, *, seconds: float = 20) -> None:
        """Stops what `start` started."""
        if not self._process:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None
