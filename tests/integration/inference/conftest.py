"""One real server with the real model for all tests here, and clients for it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import openai
import pytest

from inference.fetch import fetch

ROOT = Path(__file__).parents[3]
START_SECONDS = 120.0
PATH = "/v1/chat/completions"
STRICT_KEY = "key-of-the-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Server:
    """A running `python -m inference serve`."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=60.0)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server ended: {self.log.read_text()[-2000:]}"
            with contextlib.suppress(httpx.TransportError):
                if self.client.get("/readyz").status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the server is not ready: {self.log.read_text()[-2000:]}")

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def hold_slots(self, count: int, **more: object) -> contextlib.ExitStack:
        """Start `count` long replies and wait until each has a slot; leaving the result ends them."""
        held = contextlib.ExitStack()
        for _ in range(count):
            body = {"messages": [{"role": "user", "content": "Count."}], "stream": True, "ignore_eos": True}
            answer = held.enter_context(self.client.stream("POST", PATH, json={**body, "max_tokens": 1000, **more}))
            assert answer.status_code == 200
            lines = answer.iter_lines()
            next(line for line in lines if '"content":"' in line)
            held.callback(lines.close)  # and until then keeps it, for its end would close the connection
        return held

    def sockets(self) -> int:
        """Sockets that the process has open."""
        links = Path(f"/proc/{self.process.pid}/fd").iterdir()
        return sum(str(link.readlink()).startswith("socket:") for link in links)

    def busy_slots(self) -> float:
        return self.metric("inference_slots_busy")

    def metric(self, name: str) -> float:
        lines = [line for line in self.client.get("/metrics").text.splitlines() if line.startswith(name)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def stop(self) -> int:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def start_server(folder: Path, model: Path, **environment: str) -> Server:
    """Start a server that is not ready yet. The caller stops it."""
    port, log = free_port(), folder / f"inference-{time.monotonic_ns()}.log"
    variables = {
        **{key: value for key, value in os.environ.items() if not key.startswith("INFERENCE_")},
        "MODEL": str(model),
        "INFERENCE_PORT": str(port),
        "INFERENCE_THREADS": "2",
        "INFERENCE_SLOTS": "8",
        "INFERENCE_AHEAD_SECONDS": "60",
        **environment,
    }
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "inference", "serve"], cwd=ROOT, env=variables, stderr=output)
    return Server(process, f"http://127.0.0.1:{port}", log)


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The default model's folder, fetched once for this checkout."""
    return fetch(ROOT / "var" / "models")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, default_model: Path) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("inference"), default_model)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def strict_server(tmp_path_factory: pytest.TempPathFactory, default_model: Path) -> Iterator[Server]:
    """A server with a key and narrow limits; its client has the key."""
    running = start_server(
        tmp_path_factory.mktemp("strict"),
        default_model,
        INFERENCE_API_KEY=STRICT_KEY,
        INFERENCE_SLOTS="4",
        INFERENCE_QUEUE_LIMIT="4",
        INFERENCE_READER_SECONDS="1",
        INFERENCE_AHEAD_SECONDS="0.5",
        INFERENCE_LARGEST_N="4",
        INFERENCE_CONTEXT="2048",
    )
    running.client.headers["Authorization"] = f"Bearer {STRICT_KEY}"
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as made:
        yield made
