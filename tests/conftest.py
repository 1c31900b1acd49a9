"""Fixtures that every test may use. Nothing here is started before a test asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models.signals import post_migrate
from psycopg.errors import DeadlockDetected

from tests.stack.passwords import LIGHT_HASHER
from tests.stack.surroundings import surroundings

pytest_plugins = [
    "tests.stack.processes",
    "tests.stack.reply_lengths",
    "tests.stack.simulated_stripe",
    "tests.stack.stripe_sandbox",
    "tests.stack.browser",
]

FLUSHES = 5  # attempts


def pytest_configure() -> None:
    # How long a thing takes says more about what else the machine does.
    hypothesis.settings.register_profile("parley", deadline=None)
    hypothesis.settings.load_profile("parley")
    # The hashed names of static files need a collected folder; only the real processes (see `stack`) have one.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    # Argon2 still, at a hundredth of the work: hundreds of people are made, and few of them sign in.
    settings.PASSWORD_HASHERS = [LIGHT_HASHER, *settings.PASSWORD_HASHERS]
    # A flush after a transactional test empties the plans as well; like a migration, it ends with this signal.
    post_migrate.connect(_seed, dispatch_uid="tests.seed")
    BaseDatabaseOperations.execute_sql_flush = _patient(BaseDatabaseOperations.execute_sql_flush)


def _patient(flush: Callable[..., None]) -> Callable[..., None]:
    """Flushes again when a worker, still writing for the test that has ended, and the flush waited for each other."""

    def flush_patiently(operations: BaseDatabaseOperations, statements: list[str]) -> None:
        for _attempt in range(FLUSHES - 1):
            try:
                return flush(operations, statements)
            except OperationalError as refusal:
                if not isinstance(refusal.__cause__, DeadlockDetected):
                    raise
        return flush(operations, statements)

    return flush_patiently


def _seed(*, sender: Any, **_arguments: Any) -> None:
    if sender.name == "billing":
        from billing.plans import seed_plans

        seed_plans()
    elif sender.name == "feedback":
        # The flush between tests is a TRUNCATE, which the database refuses here as it does for everybody.
        with connection.cursor() as cursor:
            cursor.execute("SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = 'not_emptied'")
            for (table,) in cursor.fetchall():
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER not_emptied")


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """pytest-django asks for this before it creates the test database: the moment PostgreSQL is needed."""
    surroundings.start("postgres")


@pytest.fixture(scope="session", autouse=True)
def _compiled_catalogues() -> None:
    call_command("compile_catalogues", verbosity=0)
