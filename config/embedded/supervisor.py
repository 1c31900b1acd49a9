"""Keeps the install's processes running: starts them, shows their logs, restarts what crashes, stops them all."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from config.embedded.install import LONGEST_SILENCE
from config.embedded.lifetimes import stop_with_parent

SHORTEST_BACK_OFF, LONGEST_BACK_OFF = 0.5, 30.0
# A process that ran this long had started properly: its next crash begins with the shortest back-off again.
SETTLED_SECONDS = 30.0
# This many crashes before the first success, and a start is hopeless.
TOLERATED_CRASHES = 4
POLL_SECONDS = 0.1


class StartFailed(RuntimeError):  # noqa: N818
    """A part does not come up; `str()` says which and what to do."""


@dataclass
class Part:
    """One process of the Procfile. `is_ready` answers whether it does its work; `grace` is in seconds."""

    name: str
    command: str
    title: str
    is_ready: Callable[[Mapping[str, str]], bool] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0
    crashes: int = 0
    is_up: bool = False
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = field(default=None, repr=False)


class Log:
    """Honcho's coloured lines: time, the process's name, its text."""

    def __init__(self, names: list[str]) -> None:
        self._printer = Printer(sys.stdout, width=max(map(len, names)), colour="NO_COLOR" not in os.environ)
        self._colours = dict(zip(names, get_colours(), strict=False))
        self.last_written = time.monotonic()

    def write(self, name: str, text: bytes | str) -> None:
        self._printer.write(Message("line", text, datetime.now().astimezone(), name, self._colours.get(name)))
        self.last_written = time.monotonic()


class Supervisor:
    """Runs parts in `folder` with `environment`. Use it from the main thread: children end when that thread does."""

    def __init__(self, *, folder: Path, environment: Mapping[str, str], log: Log) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._log = log
        self._parts: list[Part] = []
        self._stopping = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def say(self, text: str) -> None:
        self._log.write("parley", text)

    # Starting ------------------------------------------------------------------------------------------------------

    def start(self, *parts: Part) -> None:
        """Starts the parts and keeps each of them running from now on."""
        for part in parts:
            self._parts.append(part)
            part.keeper = asyncio.create_task(self._keep(part))

    async def until_ready(self, *parts: Part) -> None:
        """Returns when all of the parts do their work; says every few seconds what it waits for."""
        began, told = time.monotonic(), 0.0
        waiting = [part for part in parts if part.is_ready]
        while waiting:
            if self._failure.done():
                self._failure.result()
            for part in list(waiting):
                if part.process and part.is_ready and part.is_ready(self._environment):
                    part.is_up = True
                    waiting.remove(part)
                    self.say(f"{part.title}: ready after {time.monotonic() - began:.1f} s")
            if waiting and time.monotonic() - began - told >= LONGEST_SILENCE:
                told = time.monotonic() - began
                self.say(f"waiting for {', '.join(part.title for part in waiting)} ({told:.0f} s)")
            await asyncio.sleep(POLL_SECONDS)

    async def run_once(self, name: str, *command: str) -> None:
        """Runs a command to its end, and says that it goes on while nothing else is printed.

        Raises `StartFailed` unless it succeeds.
        """
        part = Part(name=name, command="", title=name)
        part.process = await self._spawn(part, *command)
        self._parts.append(part)
        async with self._telling_that(f"{part.title} goes on"):
            await self._follow(part)
        self._parts.remove(part)
        if part.process.returncode and not self._stopping.is_set():
            raise StartFailed(f"'{' '.join(command)}' failed: its last lines above say why.")

    @asynccontextmanager
    async def _telling_that(self, text: str) -> AsyncIterator[None]:
        """Says the text, and for how long already, whenever nothing has been printed for a while inside the block."""
        began = time.monotonic()

        async def tell() -> None:
            while True:
                await asyncio.sleep(POLL_SECONDS)  # every printed line puts off when there is something to say
                if time.monotonic() - self._log.last_written >= LONGEST_SILENCE:
                    self.say(f"{text} ({time.monotonic() - began:.0f} s)")

        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()

    async def _keep(self, part: Part) -> None:
        """Starts the part again whenever it ends, each time a little later while it keeps crashing."""
        while not self._stopping.is_set():
            began = time.monotonic()
            part.process = await self._spawn(part, "/bin/sh", "-c", f"exec {part.command}")
            await self._follow(part)
            if self._stopping.is_set():
                return
            _kill_group(part)  # whatever it had started itself
            part.crashes = 1 if time.monotonic() - began > SETTLED_SECONDS else part.crashes + 1
            if not part.is_up and part.crashes >= TOLERATED_CRASHES:
                self._give_up(part)
                return
            delay = min(LONGEST_BACK_OFF, SHORTEST_BACK_OFF * 2 ** (part.crashes - 1))
            self.say(f"{part.title} ended ({_ending(part)}); starting it again in {delay:g} s")
            await asyncio.sleep(delay)

    def _give_up(self, part: Part) -> None:
        if not self._failure.done():
            text = f"{part.title} does not start ({part.crashes} tries, {_ending(part)}): its lines above say why."
            self._failure.set_exception(StartFailed(text))

    async def failure(self) -> None:
        """Raises `StartFailed` once a part turns out to be hopeless; otherwise waits for ever."""
        await asyncio.shield(self._failure)

    async def _spawn(self, part: Part, *command: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # A group of its own: Ctrl-C in the terminal reaches us alone, and we stop things in the right order.
            start_new_session=True,
            preexec_fn=lambda: stop_with_parent(part.orphan_signal),
        )

    async def _follow(self, part: Part) -> None:
        if part.process and part.process.stdout:
            async for line in _lines(part.process.stdout):
                self._log.write(part.name, line)
            await part.process.wait()

    # Stopping ------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stops everything, the databases last, after everybody who writes to them."""
        self._stopping.set()
        foundations = [part for part in self._parts if part.name in ("postgres", "valkey")]
        others = [part for part in self._parts if part not in foundations]
        async with self._telling_that("still stopping"):
            for group in (others, foundations):
                await asyncio.gather(*(self._stop(part) for part in group))

    async def _stop(self, part: Part) -> None:
        process = part.process
        if process and process.returncode is None:
            with suppress(ProcessLookupError):
                # One that is not up yet may still be Python, which takes SIGINT for Ctrl-C and prints where it stood.
                process.send_signal(part.stop_signal if part.is_up else signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), part.grace)
            except TimeoutError:
                self.say(f"{part.title} did not stop within {part.grace:g} s; killing it")
        _kill_group(part)
        if part.keeper:
            part.keeper.cancel()
            with suppress(asyncio.CancelledError):
                await part.keeper

    def kill(self) -> None:
        """Ends everything this instant: for the second Ctrl-C of an impatient person."""
        for part in self._parts:
            _kill_group(part)


def _kill_group(part: Part) -> None:
    if part.process:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(part.process.pid, signal.SIGKILL)


def _ending(part: Part) -> str:
    code = part.process.returncode if part.process else None
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream however long they are; the last one may lack its end."""
    rest = b""
    while chunk := await stream.read(65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest
