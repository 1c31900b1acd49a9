"""A private place for one test run: addresses, ports and folders that no other run shares.

Loaded as a pytest plugin (`-p` in pyproject.toml), so that the environment is complete before Django reads its
settings. PostgreSQL itself starts with the first test that wants a database. Each process of a run that is divided
(`pytest -n 2`) is a run of its own here: nothing is shared but the files of the checkout.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from config.embedded.accounts import remove_folder
from config.embedded.postgres import ROLE, Postgres
from config.embedded.sockets import free_port
from config.embedded.valkey import Valkey

ROOT = Path(__file__).resolve().parent.parent.parent
PREFIX = "parley-test-"
# Names what a run has put into the environment itself, so that the processes it is divided into leave it aside.
OURS = "PARLEY_TEST_VARIABLES"


def _let_empty(url: str, superuser_password: str) -> None:
    """Give our role what `tests/stack/emptying.py` and measurements need, as a database of somebody else's must have
    it."""
    superuser = make_conninfo(url, user="postgres", password=superuser_password, dbname="postgres")
    with psycopg.connect(superuser, autocommit=True) as database:
        database.execute(f"GRANT SET ON PARAMETER session_replication_role TO {ROLE}")
        database.execute(f"GRANT pg_checkpoint TO {ROLE}")


class Surroundings:
    """Folders and servers of this run, all below `home`, which is removed at the end."""

    def __init__(self) -> None:
        _remove_what_killed_runs_left()
        self.home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        # Others may enter but not list: the account that runs PostgreSQL for root has its own closed folder below.
        self.home.chmod(0o711)
        self.logs = self.home / "logs"
        self.logs.mkdir()
        # Measurements of what is written ask for a database that waits for the disk, as one that is kept does.
        durable = "TEST_DURABLE" in os.environ
        self._postgres = None if "DATABASE_URL" in os.environ else Postgres(self.home / "postgres", durable=durable)
        self._valkey = None if "VALKEY_URL" in os.environ else Valkey(self.home / "valkey", durable=False)
        self._up: set[str] = set()
        self._may_empty = False

    def environment(self) -> dict[str, str]:
        """The variables of docs/operations.md that point Django and every process at this run's own parts."""
        web, inference, stripe = free_port(), free_port(), free_port()
        variables = {
            "PARLEY_VAR": str(self.home / "var"),
            "PORT": str(web),
            "SITE_URL": f"http://127.0.0.1:{web}",
            "INFERENCE_HOST": "127.0.0.1",
            "INFERENCE_PORT": str(inference),
            "INFERENCE_URL": f"http://127.0.0.1:{inference}",
            # However long a busy machine lets a worker wait for its turn.
            "INFERENCE_AHEAD_SECONDS": "60",
            "STRIPE_PORT": str(stripe),
            "STRIPE_API_BASE": f"http://127.0.0.1:{stripe}",
            "STRIPE_API_KEY": "sk_test_parley",
            "STRIPE_WEBHOOK_SECRET": "whsec_parley_tests",
            "STORAGE_URL": (self.home / "storage").as_uri(),
            "SECRET_KEY": "only-for-this-test-run-and-long-enough-to-please-every-check",
            "DATABASE_POOL_SIZE": "20",
            # Side by side is drawn by lot: tests of it ask for it, the others never meet it.
            "COMPARISON_SHARE": "0",
            # A small model is seldom sure that a request is unclear: where a test has the switch on, it asks.
            "ASK_FIRST_THRESHOLD": "0",
            "REVIEW_READERS_SHARE": "0",
            "REVIEW_RANDOM_SHARE": "0",
            "REVIEW_GOLD_SHARE": "0",
            "REVIEW_REPEAT_SHARE": "0",
            # Waiting torch threads would spin: the tests of the model take four times as long so.
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        if self._postgres:
            variables["DATABASE_URL"] = self._postgres.url
        if self._valkey:
            self._valkey.prepare()
            variables["VALKEY_URL"] = self._valkey.url
        return variables

    def server(self, name: str) -> Postgres | Valkey | None:
        """This run's own "postgres" or "valkey"; None when the environment names another."""
        return {"postgres": self._postgres, "valkey": self._valkey}[name]

    def start(self, name: str) -> None:
        """Starts the server unless it runs already."""
        server = self.server(name)
        if server is None or name in self._up:
            return
        for patience in range(9, -1, -1):
            try:
                server.start(self.logs / f"{name}.log")
                break
            except RuntimeError:
                # After a kill, PostgreSQL does not start before the last process of the one before has noticed.
                if not patience:
                    raise
                time.sleep(0.5)
        self._up.add(name)
        if name == "postgres" and self._postgres and not self._may_empty:
            _let_empty(self._postgres.url, (self.home / "postgres" / "superuser-password").read_text())
            self._may_empty = True

    def kill(self, name: str) -> None:
        """Ends the server as a power cut would. Skips the test if it is not ours to kill."""
        server = self.server(name)
        if server is None:
            pytest.skip(f"{name} is not this run's own")
        server.kill()
        self._up.discard(name)

    def close(self) -> None:
        if self._valkey:
            self._valkey.stop()
        if self._postgres:
            self._postgres.stop()
            remove_folder(self.home / "postgres")
        shutil.rmtree(self.home, ignore_errors=True)


def _remove_what_killed_runs_left() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        process_id = folder.name.removeprefix(PREFIX).split("-")[0]
        with suppress(FileNotFoundError):  # a run that ends at this moment removes its own
            is_ours = folder.stat().st_uid == os.geteuid()
            if is_ours and not Path(f"/proc/{process_id}").exists():
                remove_folder(folder / "postgres")
                shutil.rmtree(folder, ignore_errors=True)


def _enter() -> Surroundings:
    for name in os.environ.pop(OURS, "").split():
        del os.environ[name]
    if "PYTEST_XDIST_WORKER" in os.environ and "VALKEY_URL" in os.environ:
        raise pytest.UsageError("A run with a Valkey of yours (VALKEY_URL) cannot be divided: give -n 0.")
    surroundings = Surroundings()
    variables = surroundings.environment()
    os.environ.update(variables)
    os.environ[OURS] = " ".join(variables)
    os.environ.pop("EMAIL_URL", None)
    return surroundings


surroundings = _enter()
atexit.register(surroundings.close)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    if session.items and not session.config.option.collectonly:
        surroundings.start("valkey")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    surroundings.close()
