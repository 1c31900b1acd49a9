"""OpenAI's own npm client against the whole running product. Needs npm's registry the first time."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from accounts.models import ApiKey
from tests.integration.api.conftest import MODEL
from tests.stack import npm
from tests.stack.processes import Stack

VERSION = "7.57.0"
SCRIPT = Path(__file__).with_name("openai_client.mjs")


@pytest.fixture(scope="session")
def npm_module() -> Path:
    """The client's entry point."""
    return npm.installed("openai", VERSION) / "index.mjs"


def test_it_lists_answers_streams_and_reports_errors(npm_module: Path, key: tuple[ApiKey, str], stack: Stack) -> None:
    environment = {
        **os.environ,
        "OPENAI_MODULE": npm_module.as_uri(),
        "BASE_URL": f"{stack.url}/v1",
        "API_KEY": key[1],
    }
    run = subprocess.run([npm.NODE, SCRIPT], env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert MODEL in seen["models"]
    assert "Paris" in seen["whole"]
    assert seen["streamed"] == seen["whole"]
    assert seen["tokens"] > 0
    assert seen["error"] == {"kind": "NotFoundError", "status": 404, "code": "model_not_found", "param": "model"}
