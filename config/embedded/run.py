"""`make run`: everything one machine needs, from nothing to a page in the browser, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from honcho.environ import parse_procfile

from config.embedded import readiness
from config.embedded.addresses import Install, install
from config.embedded.lock import AlreadyHeld, Lock
from config.embedded.outside import model_service_trouble, require_outside
from config.embedded.postgres import Postgres
from config.embedded.preflight import require_ports, require_space
from config.embedded.supervisor import Log, Part, StartFailed, Supervisor

TITLES = {
    "postgres": "PostgreSQL",
    "valkey": "Valkey",
    "stripe": "the simulated Stripe",
    "inference": "the model",
    "worker": "the worker",
    "scheduler": "the scheduler",
    "web": "the web",
}
CHECKS: dict[str, readiness.Check] = {
    "postgres": readiness.postgres_answers,
    "valkey": readiness.valkey_answers,
    "stripe": readiness.stripe_answers,
    "inference": readiness.inference_answers,
    "web": readiness.web_answers,
}
FOUNDATIONS = ("postgres", "valkey")
EARLY = ("stripe", "inference")  # they need no database: they load while it is migrated


def run(*, root: Path, var: Path) -> int:
    """Runs until Ctrl-C or SIGTERM; returns the exit status. Raises RuntimeError when it cannot start."""
    site = os.environ.get("SITE_URL") or f"http://127.0.0.1:{os.environ.get('PORT') or '8000'}"
    require_space(var)
    try:
        with Lock(var / "run.lock", text=f"process {os.getpid()} at {site}"):
            here = install(var, os.environ)
            require_ports(here)
            require_outside(os.environ)
            return asyncio.run(_run(here, root=root, var=var))
    except AlreadyHeld as holder:
        raise RuntimeError(
            f"Parley is already running from this folder: {holder or 'just starting'}. "
            f"Use that one, or stop it first (Ctrl-C in its terminal)."
        ) from None


async def _run(here: Install, *, root: Path, var: Path) -> int:
    environment = {
        **here.environment,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }
    log = Log(["parley", "set-up", *here.parts])
    supervisor = Supervisor(folder=root, environment=environment, log=log)
    stopped = _stop_on_signals(supervisor)
    starting = asyncio.create_task(_start(supervisor, here, root=root, var=var))
    try:
        return await _first_of(starting, stopped, supervisor)
    finally:
        starting.cancel()
        supervisor.say("stopping …")
        await supervisor.stop()
        supervisor.say("stopped")


async def _first_of(starting: asyncio.Task[None], stopped: asyncio.Event, supervisor: Supervisor) -> int:
    """Waits for the end: 0 when a person asked for it, 1 when a part cannot start."""
    waiting = asyncio.create_task(stopped.wait())
    failing = asyncio.create_task(supervisor.failure())
    pending: set[asyncio.Task[object]] = {starting, waiting, failing}
    try:
        while True:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if waiting in done:
                return 0
            for task in done:
                task.result()
    except StartFailed as failure:
        supervisor.say(str(failure))
        return 1
    finally:
        for task in (waiting, failing):
            task.cancel()


def _stop_on_signals(supervisor: Supervisor) -> asyncio.Event:
    stopped = asyncio.Event()

    def stop() -> None:
        if stopped.is_set():
            supervisor.kill()
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return stopped


async def _start(supervisor: Supervisor, here: Install, *, root: Path, var: Path) -> None:
    began = time.monotonic()
    commands = parse_procfile((root / "Procfile").read_text()).processes
    parts = {name: _part(name, commands[name]) for name in here.parts}
    supervisor.say(f"starting {', '.join(part.title for part in parts.values())}")

    def chosen(is_wanted: Callable[[str], bool]) -> list[Part]:
        return [part for name, part in parts.items() if is_wanted(name)]

    foundations = chosen(lambda name: name in FOUNDATIONS)
    early = chosen(lambda name: name in EARLY)
    late = chosen(lambda name: name not in FOUNDATIONS + EARLY)
    supervisor.start(*foundations)
    if "inference" in parts and "MODEL" not in here.environment:
        await supervisor.run_once("set-up", sys.executable, "-m", "inference", "fetch")
    supervisor.start(*early)
    await supervisor.until_ready(*foundations)
    await supervisor.run_once("set-up", sys.executable, "manage.py", "bootstrap", "--sign-ins")
    supervisor.start(*late)
    await supervisor.until_ready(*late, *early)
    for line in _welcome(here, var, seconds=time.monotonic() - began):
        supervisor.say(line)
    if "inference" not in parts and (trouble := await asyncio.to_thread(model_service_trouble, here.environment)):
        supervisor.say(trouble)


def _part(name: str, command: str) -> Part:
    part = Part(name=name, command=command, title=TITLES.get(name, name), is_ready=CHECKS.get(name))
    if name == "postgres":
        part.stop_signal, part.grace = Postgres.stop_signal, 30.0
    if name == "worker":
        # A reply in progress is not lost: its lease runs out and it goes on at the next start.
        part.grace, part.orphan_signal = 5.0, signal.SIGKILL
    return part


def _welcome(here: Install, var: Path, *, seconds: float) -> list[str]:
    sign_ins = var / "sign-ins"
    people = sign_ins.read_text().splitlines() if sign_ins.exists() else []
    return [
        "",
        f"  Parley is ready after {seconds:.1f} s:  {here.site}",
        *(f"  sign in as {address} with the password {password}" for address, password in map(str.split, people)),
        "  Ctrl-C stops everything; the next `make run` remembers it all.",
        "",
    ]
