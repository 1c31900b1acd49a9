"""What goes wrong around the model service: clients that leave, floods, swaps under load, and being told to stop."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from pathlib import Path

import httpx

from tests.integration.inference.conftest import Server, start_server

PATH = "/v1/chat/completions"


def body(text: str = "Count from 1 to 200.", **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "ignore_eos": True, "max_tokens": 200, **more}


def wait_for(condition: object, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_a_client_that_leaves_frees_its_slot(server: Server) -> None:
    before = server.metric("inference_requests_finished_total{")
    with server.client.stream("POST", PATH, json=body(stream=True, max_tokens=4000)) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if '"content":"' in line)
        assert server.busy_slots() == 1
    wait_for(lambda: server.busy_slots() == 0)
    assert server.metric("inference_requests_finished_total{") == before + 1


async def test_a_flood_of_500_requests_is_served_or_refused_and_leaks_nothing(server: Server) -> None:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=120.0, limits=limits) as flood:
        request = body("Hi", max_tokens=2)
        answers = await asyncio.gather(*(flood.post(PATH, json=request) for _ in range(500)))
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {200, 429}
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 429)
    wait_for(lambda: server.busy_slots() == 0)
    assert server.client.get("/readyz").status_code == 200


def test_a_deadline_that_passes_in_the_queue_is_answered_503(server: Server) -> None:
    busy = [
        threading.Thread(target=server.client.post, args=(PATH,), kwargs={"json": body(max_tokens=100)})
        for _ in range(8)
    ]
    for thread in busy:
        thread.start()
    wait_for(lambda: server.busy_slots() == 8)
    for stream in (False, True):
        answer = server.client.post(PATH, json=body(deadline=0.05, stream=stream))
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "deadline_exceeded"
    for thread in busy:
        thread.join()


def test_swapping_the_model_drops_no_request(server: Server, default_model: Path) -> None:
    codes: list[str] = []

    def ask() -> None:
        answer = server.client.post(PATH, json=body(max_tokens=60)).json()
        codes.append(answer["choices"][0]["finish_reason"])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    name = "smollm2-135m-instruct"
    swap = {"name": name, "path": str(default_model)}
    assert server.client.post("/admin/models", json=swap).json()["phase"] == "ready"
    beside = {"name": "beside", "path": str(default_model)}
    assert server.client.post("/admin/models", json=beside).status_code == 200
    assert server.client.post(PATH, json=body(model="beside", max_tokens=2)).json()["model"] == "beside"
    assert server.client.delete("/admin/models/beside").json()["deleted"]
    for thread in threads:
        thread.join()
    assert codes == ["length"] * 4
    assert server.client.post("/admin/models", json={"name": "x", "path": "/nowhere"}).status_code == 400


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


def test_a_missing_model_ends_the_process_with_a_reason(tmp_path: Path) -> None:
    running = start_server(tmp_path, tmp_path / "nothing")
    assert running.process.wait(60) == 70
    assert "python -m inference fetch" in running.log.read_text()
