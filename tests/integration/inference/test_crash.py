"""The engine's thread dies of a real lack of memory: everybody learns of it at once, and the process makes way."""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.inference.conftest import start_server

LONG_PROMPT = [17] * 4000
HEADROOM = 24 << 20
"""Bytes: enough for the server's small change, not for a step of 4,000 tokens, whose widest layer takes 49 MB."""


def _address_space(process_id: int) -> int:
    """Bytes of addresses that a process has in use."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmSize"))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_crash_of_the_engine_is_seen_at_once_and_ends_the_process(tmp_path: Path, default_model: Path) -> None:
    running = start_server(tmp_path, default_model, INFERENCE_PREFILL_CHUNK="4000")
    try:
        running.wait_until_ready()
        warm = {"prompt": [17, 18], "max_tokens": 2}
        assert running.client.post("/v1/completions", json=warm).status_code == 200
        used = _address_space(running.process.pid)
        resource.prlimit(running.process.pid, resource.RLIMIT_AS, (used + HEADROOM, resource.RLIM_INFINITY))
        answers: list[httpx.Response] = []

        def ask() -> None:
            with contextlib.suppress(httpx.TransportError):
                answers.append(running.client.post("/v1/completions", json={"prompt": LONG_PROMPT, "max_tokens": 4}))

        asking = threading.Thread(target=ask)
        asking.start()
        probes = set()
        deadline = time.monotonic() + 30
        with httpx.Client(base_url=running.url, timeout=5) as probe:
            while running.process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    answer = probe.get("/readyz")
                    probes.add((answer.status_code, answer.text))
                time.sleep(0.02)
        asking.join()
        assert running.process.wait(10) == 70
        assert any(status == 503 and '"smollm2-135m-instruct":"failed"' in text for status, text in probes)
        assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(503, "engine_failed")]
        assert [line["reason"] for line in running.lines() if line["event"] == "exiting to be restarted"]
    finally:
        running.stop()
