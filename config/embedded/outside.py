"""Servers that replace parts of ours, asked before anything starts: a wrong address is said in words, and at once."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psycopg
import redis

PATIENCE_SECONDS = 5
STRIPE_KEYS = ("sk_", "rk_")


def require_outside(given: Mapping[str, str]) -> None:
    """Raises RuntimeError, naming the variable, unless each given address leads to what it should.

    The model service may come later: the worker waits for it. `model_service_trouble` tells what it lacks.
    """
    for variable, check in (
        ("DATABASE_URL", _require_postgres),
        ("VALKEY_URL", _require_valkey),
        ("INFERENCE_URL", _require_web_address),
        ("SITE_URL", _require_web_address),
        ("STRIPE_API_KEY", _require_stripe_key),
    ):
        if value := given.get(variable):
            try:
                check(value)
            except ValueError as error:
                raise RuntimeError(f"{variable}: {error}") from error


def model_service_trouble(given: Mapping[str, str]) -> str | None:
    """What keeps the model service at `INFERENCE_URL` from answering at the moment; None when it answers."""
    address = given["INFERENCE_URL"].rstrip("/")
    key = given.get("INFERENCE_API_KEY", "")
    request = Request(f"{address}/v1/models", headers={"Authorization": f"Bearer {key}"} if key else {})  # noqa: S310
    try:
        with urlopen(request, timeout=PATIENCE_SECONDS):  # noqa: S310 - the operator's own address, http or https
            return None
    except HTTPError as error:
        if error.code in (401, 403):
            return f"INFERENCE_URL: {address} refuses the key. Set INFERENCE_API_KEY to one that it takes."
        return (
            f"INFERENCE_URL: {address}/v1/models answers with status {error.code}: is it the address of an "
            "OpenAI-compatible server, without /v1? Replies wait until it is."
        )
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return f"INFERENCE_URL: nobody answers at {address} ({reason}). Replies wait until somebody does."


def _require_postgres(address: str) -> None:
    if not address.startswith(("postgresql://", "postgres://")):
        raise ValueError("this is not the address of a PostgreSQL server: postgresql://user:password@host:5432/name")
    try:
        psycopg.connect(address, connect_timeout=PATIENCE_SECONDS).close()
    except psycopg.OperationalError as error:
        raise ValueError(f"PostgreSQL cannot be used there. {_words(error)}{_or_unset('DATABASE_URL')}") from error
    except psycopg.Error as error:
        raise ValueError(f"this address cannot be read: {_words(error)}") from error


def _require_valkey(address: str) -> None:
    if not address.startswith(("redis://", "rediss://")):
        raise ValueError("this is not the address of a Valkey or Redis server: redis://:password@host:6379/0")
    try:
        connection = redis.Redis.from_url(
            address, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS
        )
    except ValueError as error:
        raise ValueError(f"this address cannot be read: {error}") from error
    try:
        with connection:
            connection.ping()
    except redis.RedisError as error:
        raise ValueError(f"Valkey cannot be used there. {_words(error)}{_or_unset('VALKEY_URL')}") from error


def _require_web_address(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{address!r} is not an address of the web, such as http://host:8000.")
    parts.port  # noqa: B018 - raises ValueError for what is no port


def _require_stripe_key(key: str) -> None:
    if not key.startswith(STRIPE_KEYS):
        raise ValueError("this is not a secret key of Stripe's, which begins with sk_ or rk_.")


def _words(error: Exception) -> str:
    """The first line of what the server or its client said: the rest guesses."""
    line = str(error).strip().splitlines()[0].strip() if str(error).strip() else type(error).__name__
    return line if line.endswith(".") else f"{line}."


def _or_unset(variable: str) -> str:
    return f" Start or mend it, or unset {variable} to have one here."
