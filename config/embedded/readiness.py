"""Whether a part of the install does its work yet. Every check is quick and never raises."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import psycopg
import redis

from config.embedded.addresses import reachable

Check = Callable[[Mapping[str, str]], bool]


def postgres_answers(environment: Mapping[str, str]) -> bool:
    try:
        psycopg.connect(environment["DATABASE_URL"], connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def valkey_answers(environment: Mapping[str, str]) -> bool:
    try:
        with redis.Redis.from_url(environment["VALKEY_URL"], socket_timeout=2) as connection:
            return bool(connection.ping())
    except redis.RedisError:
        return False


def web_answers(environment: Mapping[str, str]) -> bool:
    # Asked by the name of the site: any other name is refused.
    host = urlsplit(environment["SITE_URL"]).netloc
    here = reachable(environment.get("WEB_HOST", ""))
    return _answers(f"http://{here}:{environment['PORT']}/", headers={"Host": host}, below=500)


def inference_answers(environment: Mapping[str, str]) -> bool:
    return _answers(f"{environment['INFERENCE_URL']}/readyz")


def stripe_answers(environment: Mapping[str, str]) -> bool:
    return _answers(environment["STRIPE_API_BASE"], below=500)


def _answers(url: str, *, headers: Mapping[str, str] | None = None, below: int = 400) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path or "/", headers=dict(headers or {}))
        return connection.getresponse().status < below
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
