"""`python -m config.embedded`: the databases of a one-machine install, alone or around a command."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from config.embedded.lock import AlreadyHeld, Lock
from config.embedded.postgres import Postgres
from config.embedded.valkey import Valkey

LOGS = {"DATABASE_URL": "postgres.log", "VALKEY_URL": "valkey.log"}
ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    arguments = _parser().parse_args()
    var = Path(os.environ.get("PARLEY_VAR", ROOT / "var"))
    try:
        return int(arguments.function(var, arguments) or 0)
    except (RuntimeError, OSError) as error:
        print(f"parley: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m config.embedded", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, text in (
        ("run", _run, "start everything this machine needs and follow the logs (what `make run` does)"),
        ("up", _up, "start PostgreSQL and Valkey alone and print their addresses; Ctrl-C stops them"),
        ("postgres", _postgres, "be the PostgreSQL server, in the foreground"),
        ("valkey", _valkey, "be the Valkey server, in the foreground"),
    ):
        commands.add_parser(name, help=text).set_defaults(function=function)
    execute = commands.add_parser("exec", help="run a command with both databases up and their addresses set")
    execute.add_argument("command", help="a program of the environment, such as python, or of the machine")
    execute.add_argument("arguments", nargs=argparse.REMAINDER)
    execute.set_defaults(function=_execute)
    return parser


def _run(var: Path, _arguments: argparse.Namespace) -> int:
    from config.embedded.run import run

    return run(root=ROOT, var=var)


def _postgres(var: Path, _arguments: argparse.Namespace) -> None:
    Postgres(var / "postgres").become()


def _valkey(var: Path, _arguments: argparse.Namespace) -> None:
    server = Valkey(var / "valkey")
    server.prepare()
    server.become()


def _up(var: Path, _arguments: argparse.Namespace) -> None:
    with _databases(var) as addresses:
        for name, address in addresses.items():
            print(f"export {name}='{address}'", flush=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


def _execute(var: Path, arguments: argparse.Namespace) -> int:
    with _databases(var) as addresses:
        # The terminal sends Ctrl-C to the command too: it decides what that means, we wait for it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return subprocess.call(
                [arguments.command, *arguments.arguments],
                env={**os.environ, **addresses, "PATH": _path(var)},
                preexec_fn=lambda: signal.signal(signal.SIGINT, before),
            )
        finally:
            signal.signal(signal.SIGINT, before)


def _path(var: Path) -> str:
    """Ours come first, the environment's and PostgreSQL's: a pg_dump of the machine may be too old for the server."""
    ours = [] if os.environ.get("DATABASE_URL") else [str(Postgres(var / "postgres").programs)]
    return os.pathsep.join([str(Path(sys.executable).parent), *ours, os.environ.get("PATH", os.defpath)])


@contextmanager
def _databases(var: Path) -> Iterator[dict[str, str]]:
    """Both databases' addresses: given ones, those already running for this folder, or some for just the block."""
    places: dict[str, Postgres | Valkey] = {
        "DATABASE_URL": Postgres(var / "postgres"),
        "VALKEY_URL": Valkey(var / "valkey"),
    }
    servers = {name: server for name, server in places.items() if not os.environ.get(name)}
    try:
        with Lock(var / "run.lock", text=f"pid {os.getpid()}"), ExitStack() as stops:
            for name, server in servers.items():
                stops.callback(server.stop)
                server.start(var / LOGS[name])
            yield _addresses(servers)
    except AlreadyHeld:
        for server in servers.values():
            server.wait(seconds=30)
        yield _addresses(servers)


def _addresses(servers: Mapping[str, Postgres | Valkey]) -> dict[str, str]:
    return {name: os.environ.get(name) or servers[name].url for name in LOGS}


if __name__ == "__main__":
    sys.exit(main())
