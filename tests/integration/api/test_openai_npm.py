"""OpenAI's own npm client against the whole running product. Needs Node.js, and npm's registry the first time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from accounts.models import ApiKey
from tests.integration.api.conftest import MODEL
from tests.stack.processes import ROOT, Stack

VERSION = "7.57.0"
SCRIPT = Path(__file__).with_name("openai_client.mjs")


@pytest.fixture(scope="session")
def npm_module() -> Path:
    """The client's entry point, installed once below var/."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node.js is not installed")
    folder = ROOT / "var" / "test-npm" / VERSION
    entry = folder / "node_modules" / "openai" / "index.mjs"
    if not entry.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"--prefix={folder}"]
        installed = subprocess.run([*command, f"openai@{VERSION}"], capture_output=True, text=True, timeout=120)
        if installed.returncode:
            pytest.skip(f"npm could not install openai: {installed.stderr[-300:]}")
    return entry


def test_it_lists_answers_streams_and_reports_errors(npm_module: Path, key: tuple[ApiKey, str], stack: Stack) -> None:
    environment = {
        **os.environ,
        "OPENAI_MODULE": npm_module.as_uri(),
        "BASE_URL": f"{stack.url}/v1",
        "API_KEY": key[1],
    }
    run = subprocess.run(["node", SCRIPT], env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert MODEL in seen["models"]
    assert "Paris" in seen["whole"]
    assert seen["streamed"] == seen["whole"]
    assert seen["tokens"] > 0
    assert seen["error"] == {"kind": "NotFoundError", "status": 404, "code": "model_not_found", "param": "model"}
