"""The environment as settings read it: what cannot be read is refused by the name of its variable."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured


class Environment(environ.Env):  # type: ignore[misc]
    """django-environ's, whose errors say what is wrong with a value but not whose it is."""

    def get_value(self, var: str, *arguments: Any, **options: Any) -> Any:
        with _naming(var):
            return super().get_value(var, *arguments, **options)

    def database(self, var: str, *, default: str) -> dict[str, Any]:
        with _naming(var):
            database = dict(self.db_url_config(self.str(var, default="") or default))
            if database.get("ENGINE") != "django.db.backends.postgresql":
                raise ValueError("it is no address of PostgreSQL, such as postgresql://user:password@host:5432/name")
            return database

    def mail_server(self, var: str) -> dict[str, Any]:
        with _naming(var):
            return dict(self.email_url(var))

    def log_level(self, var: str, *, default: str) -> str:
        level = str(self.str(var, default=default)).upper()
        if level not in logging.getLevelNamesMapping():
            raise ImproperlyConfigured(f"{var} cannot be read: it is DEBUG, INFO, WARNING or ERROR, and not {level}.")
        return level


@contextmanager
def _naming(variable: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, ImproperlyConfigured) as error:
        if variable in str(error):
            raise
        raise ImproperlyConfigured(
            f"{variable} cannot be read: {error}. docs/operations.md says what it is."
        ) from error
