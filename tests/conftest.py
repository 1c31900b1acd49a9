"""Fixtures that every test may use. Nothing here is started before a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db.models.signals import post_migrate

from tests.stack import emptying
from tests.stack.passwords import LIGHT_HASHER
from tests.stack.surroundings import surroundings

pytest_plugins = [
    "tests.stack.processes",
    "tests.stack.reply_lengths",
    "tests.stack.simulated_stripe",
    "tests.stack.stripe_posts",
    "tests.stack.stripe_sandbox",
    "tests.stack.browser",
]


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
    emptying.install()


def _seed(*, sender: Any, **_arguments: Any) -> None:
    if sender.name == "billing":
        from billing.plans import seed_plans

        seed_plans()


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """pytest-django asks for this before it creates the test database: the moment PostgreSQL is needed."""
    surroundings.start("postgres")


@pytest.fixture(scope="session", autouse=True)
def _compiled_catalogues() -> None:
    call_command("compile_catalogues", verbosity=0)


@pytest.fixture
def storage(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """An empty folder that releases of this test are kept in."""
    from feedback.release import store

    settings.STORAGE_URL = tmp_path.as_uri()
    store._filesystem.cache_clear()
    yield tmp_path
    store._filesystem.cache_clear()
