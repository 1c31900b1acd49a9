"""A simulated Stripe that belongs to one test module."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.embedded.readiness import stripe_answers
from config.embedded.sockets import free_port
from tests.stack.surroundings import ROOT

KEY = "sk_test_of_these_tests"


@pytest.fixture(scope="module")
def stripe_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The simulated Stripe in its own process, sending no webhooks."""
    state = tmp_path_factory.mktemp("stripe") / "state.sqlite3"
    with simulated_stripe(state) as url:
        yield url


class simulated_stripe:  # noqa: N801 - read as a statement: with simulated_stripe(state) as url
    """Runs one over the SQLite file `state`; `options` are environment variables it shall see."""

    def __init__(self, state: Path, **options: str) -> None:
        self._port = free_port()
        self._state = state
        self._options = options

    def __enter__(self) -> str:
        url = f"http://127.0.0.1:{self._port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STRIPE_")}
        command = [sys.executable, "-m", "billing.sandbox", "--port", str(self._port), "--state", str(self._state)]
        environment |= {"STRIPE_API_KEY": KEY, **self._options}
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment)
        give_up_at = time.monotonic() + 60
        while not stripe_answers({"STRIPE_API_BASE": url}):
            assert time.monotonic() < give_up_at, "the simulated Stripe does not come up"
            time.sleep(0.1)
        return url

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def at_simulated_stripe(alone: None, settings: Any, stripe_url: str) -> str:
    """This process asks that Stripe, has pushed its plans to it, and gives no trials.

    Nothing is left there of the customers of the tests before: looking through it all took most of their time.
    """
    from billing import catalogue
    from billing.models import Plan
    from billing.plans import seed_plans

    httpx.delete(f"{stripe_url}/_ctl/customers", timeout=60).raise_for_status()
    settings.STRIPE_API_BASE = stripe_url
    settings.STRIPE_API_KEY = KEY
    seed_plans()
    Plan.objects.update(trial_days=0)
    catalogue.sync()
    return stripe_url
