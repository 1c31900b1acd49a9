"""What goes wrong around the model service: floods, being killed, being told to stop, and no network."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.integration.inference.conftest import PATH, ROOT, Server, start_server
from tests.waiting import wait_until


def body(text: str = "Count from 1 to 200.", **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "ignore_eos": True, "max_tokens": 200, **more}


async def test_a_flood_of_500_requests_is_served_or_refused_and_leaks_nothing(server: Server) -> None:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=120.0, limits=limits) as flood:
        request = body("Hi", max_tokens=2)
        answers = await asyncio.gather(*(flood.post(PATH, json=request) for _ in range(500)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 429}
    assert statuses[200] >= 400  # the queue holds 512, and answers while they come
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 429)
    wait_until(lambda: server.busy_slots() == 0, seconds=10)
    assert server.client.get("/readyz").status_code == 200


def test_sigterm_lets_a_running_reply_finish(tmp_path: Path, default_model: Path) -> None:
    running = start_server(tmp_path, default_model)
    try:
        running.wait_until_ready()
        with running.client.stream("POST", PATH, json=body(stream=True, max_tokens=60)) as answer:
            lines = answer.iter_lines()
            next(line for line in lines if '"content":"' in line)
            running.process.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert "data: [DONE]" in rest
        assert running.process.wait(20) == 0
    finally:
        running.stop()


def test_a_killed_service_breaks_the_stream_and_answers_again_at_the_same_address(
    tmp_path: Path, default_model: Path
) -> None:
    running = start_server(tmp_path, default_model)
    running.wait_until_ready()
    with running.client.stream("POST", PATH, json=body(stream=True, max_tokens=4000)) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if '"content":"' in line)
        running.process.kill()
        running.process.wait()
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    port = running.url.rsplit(":", 1)[1]
    again = start_server(tmp_path, default_model, INFERENCE_PORT=port)
    again.url = running.url
    again.client.base_url = running.url
    try:
        again.wait_until_ready()
        assert again.client.post(PATH, json=body(max_tokens=3)).status_code == 200
    finally:
        again.stop()


def test_fetching_without_a_network_says_what_to_do(tmp_path: Path) -> None:
    unreachable = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": ""}
    command = [sys.executable, "-m", "inference", "fetch", "--to", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    result = subprocess.run(
        command, cwd=ROOT, env=environment | unreachable, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 1
    assert "Check the network" in result.stderr
    assert "--wheel" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]


def test_a_missing_model_ends_the_process_with_a_reason(tmp_path: Path) -> None:
    running = start_server(tmp_path, tmp_path / "nothing")
    assert running.process.wait(60) == 70
    assert "python -m inference fetch" in running.log.read_text()
