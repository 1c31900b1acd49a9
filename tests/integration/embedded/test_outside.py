"""Addresses of servers that replace parts of ours: a wrong one is said before anything starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from config.embedded.addresses import install
from config.embedded.outside import model_service_trouble, require_outside
from config.embedded.sockets import free_port


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DATABASE_URL", "foo", "not the address of a PostgreSQL server"),
        ("DATABASE_URL", "sqlite:///parley.db", "not the address of a PostgreSQL server"),
        ("DATABASE_URL", "postgresql://ann:secret@127.0.0.1:notaport/parley", "invalid integer value"),
        ("DATABASE_URL", "postgresql://ann:secret@127.0.0.1:9/parley", "cannot be used there. .*unset DATABASE_URL"),
        ("VALKEY_URL", "foo", "not the address of a Valkey or Redis server"),
        ("VALKEY_URL", "http://127.0.0.1:9", "not the address of a Valkey or Redis server"),
        ("VALKEY_URL", "redis://:secret@127.0.0.1:notaport/0", "cannot be read"),
        ("VALKEY_URL", "redis://:secret@127.0.0.1:9/0", "cannot be used there. .*unset VALKEY_URL"),
        ("INFERENCE_URL", "127.0.0.1:8001", "not an address of the web"),
        ("INFERENCE_URL", "http://127.0.0.1:notaport", "Port could not be cast"),
        ("SITE_URL", "parley.example", "not an address of the web"),
        ("STRIPE_API_KEY", "pk_test_1", "begins with sk_ or rk_"),
    ],
)
def test_a_wrong_address_is_named_with_what_is_wrong_but_not_its_password(variable: str, value: str, said: str) -> None:
    with pytest.raises(RuntimeError, match=f"^{variable}: .*{said}") as refused:
        require_outside({variable: value})
    assert "ann:secret" not in str(refused.value)
    assert ":secret@" not in str(refused.value)


def test_a_wrong_password_is_what_the_servers_say_it_is(db: None) -> None:
    database, valkey = os.environ["DATABASE_URL"], os.environ["VALKEY_URL"]
    require_outside({"DATABASE_URL": database, "VALKEY_URL": valkey})
    password = database.split("://parley:")[1].split("@")[0]
    with pytest.raises(RuntimeError, match="password authentication failed"):
        require_outside({"DATABASE_URL": database.replace(password, "wrong")})
    with pytest.raises(RuntimeError, match="VALKEY_URL: Valkey cannot be used there"):
        require_outside({"VALKEY_URL": f"redis://:wrong@{valkey.split('@')[1]}"})


@pytest.mark.parametrize("present", ["STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"])
def test_half_of_a_stripe_account_is_refused(tmp_path: Path, present: str) -> None:
    outside = {"DATABASE_URL": "postgresql://db/parley", "VALKEY_URL": "redis://valkey"}
    with pytest.raises(RuntimeError, match=f"{present} is set: set STRIPE_.* too, or unset both to simulate Stripe"):
        install(tmp_path, {**outside, present: "something"})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"MODEL": "/srv/models/Qwen3-0.6B"}, "Qwen3-0.6B"),
        ({"MODEL": "/srv/models/qwen3/model.gguf"}, "qwen3"),
        ({"MODEL": "/srv/models/qwen3-q4.gguf"}, "qwen3-q4"),
        ({"MODEL": "/srv/models/1", "CHAT_MODEL": "ours"}, "ours"),
        ({"MODEL": "/srv/models/1", "INFERENCE_MODEL_NAME": "ours"}, "ours"),
    ],
)
def test_the_chat_asks_for_another_model_by_the_name_that_it_is_served_under(
    tmp_path: Path, given: dict[str, str], named: str
) -> None:
    outside = {"DATABASE_URL": "postgresql://db/parley", "VALKEY_URL": "redis://valkey"}
    environment = install(tmp_path, {**outside, **given}).environment
    assert (environment["INFERENCE_MODEL_NAME"], environment["CHAT_MODEL"]) == (named, named)


class _Models(BaseHTTPRequestHandler):
    """Answers as a model service that wants the key 'right'."""

    def do_GET(self) -> None:
        known = self.path == "/v1/models"
        allowed = self.headers["Authorization"] == "Bearer right"
        self.send_response(200 if known and allowed else 401 if known else 404)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def model_service() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Models) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_model_service_is_told_apart_that_is_absent_elsewhere_or_wants_another_key(model_service: str) -> None:
    assert model_service_trouble({"INFERENCE_URL": model_service, "INFERENCE_API_KEY": "right"}) is None
    assert "Set INFERENCE_API_KEY" in str(model_service_trouble({"INFERENCE_URL": model_service}))
    elsewhere = {"INFERENCE_URL": f"{model_service}/v1", "INFERENCE_API_KEY": "right"}
    assert "without /v1" in str(model_service_trouble(elsewhere))
    nobody = f"http://127.0.0.1:{free_port()}"
    assert f"nobody answers at {nobody}" in str(model_service_trouble({"INFERENCE_URL": nobody}))
