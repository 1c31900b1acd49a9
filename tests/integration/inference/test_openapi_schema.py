"""The service against its own OpenAPI schema: whatever is sent, valid or not, there is an answer and no fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from inference.server.app import create_app
from inference.settings import Settings
from tests.integration.inference.conftest import Server, start_server


@pytest.fixture(scope="module")
def short_server(tmp_path_factory: pytest.TempPathFactory, default_model: Path) -> Iterator[Server]:
    """A server whose window leaves room for a few tokens only, so that random requests are answered soon."""
    running = start_server(tmp_path_factory.mktemp("schema"), default_model, INFERENCE_CONTEXT="56")
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


schema = schemathesis.openapi.from_dict(create_app(Settings(), on_crash=print).openapi())


@schema.parametrize()
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_makes_the_service_fault(short_server: Server, case: schemathesis.Case) -> None:
    answer = case.call(base_url=short_server.url)
    if answer.status_code >= 500:  # a deadline of a microsecond passes, and that is what it was asked to say
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "deadline_exceeded"
    elif answer.status_code >= 400 and case.path not in ("/healthz", "/readyz", "/metrics"):
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_the_log_of_all_that_holds_no_fault(short_server: Server) -> None:
    assert not [line for line in short_server.lines() if "traceback" in line and line["logger"] != "inference.engine"]
    assert short_server.client.get("/readyz").status_code == 200
