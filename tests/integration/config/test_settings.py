"""Settings that cannot be: named, with what they should be, by the command that sets a site up."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.stack.surroundings import ROOT


def _check(**environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DATABASE_POOL_SIZE", "many", "invalid literal"),
        ("DATABASE_URL", "sqlite:///parley.db", "no address of PostgreSQL"),
        ("DATABASE_URL", "postgresql://ann:secret@host:port/parley", "Port"),
        ("EMAIL_URL", "mail.example", "Invalid email schema"),
        ("EMAIL_URL", "smtp://mail.example:port", "Port"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_by_the_name_of_its_variable(
    variable: str, value: str, said: str
) -> None:
    status, text = _check(**{variable: value})
    assert status != 0
    last = text.strip().splitlines()[-1]
    assert f"{variable} cannot be read: " in last
    assert said in last
    assert "secret" not in last


def test_addresses_that_lead_nowhere_are_found_together() -> None:
    status, text = _check(STORAGE_URL="nothing://bucket/folder", WEBHOOK_NETWORKS="10.0.0.0/8,home", LOG_LEVEL="info")
    assert status != 0
    assert "(config.E001) STORAGE_URL cannot be used: Protocol not known" in text
    assert "(config.E002) WEBHOOK_NETWORKS: 'home' is no network." in text
    assert "10.0.0.0" not in text.replace("Such as 10.0.0.0/8.", "")
