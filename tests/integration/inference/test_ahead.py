"""A reply that is begun before anybody reads it, and handed to whoever asks for the same."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.integration.inference.conftest import PATH, Server
from tests.waiting import wait_until

LONG = {"max_tokens": 1500, "ignore_eos": True}


@pytest.fixture
def idle(server: Server) -> Server:
    wait_until(lambda: server.busy_slots() == 0, seconds=30)
    return server


def request(**more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Tell me about {uuid.uuid4().hex}."}]
    return {"messages": messages, "seed": 7, "max_tokens": 24, "ignore_eos": True, **more}


def begin(server: Server, body: dict[str, Any], prefer: str = "respond-async", **headers: str) -> httpx.Response:
    return server.client.post(PATH, json=body, headers={"Prefer": prefer, **headers})


def ended(server: Server, reason: str = "") -> float:
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in server.client.get("/metrics").text.splitlines()
        if line.startswith("inference_requests_finished_total") and reason in line
    )


def text_of(stream: str) -> str:
    chunks = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_it_is_handed_over_whole_and_once(idle: Server) -> None:
    body, number, before = request(), {"X-Request-ID": uuid.uuid4().hex}, ended(idle)
    begun = begin(idle, {**body, "stream": True, "stream_options": {"include_usage": True}}, **number)
    assert begun.status_code == 202
    assert begun.headers["preference-applied"] == "respond-async"
    taken, again = (idle.client.post(PATH, json=body, headers=number).json() for _time in range(2))
    assert ended(idle) == before + 2
    assert taken["choices"] == again["choices"]
    assert taken["usage"]["completion_tokens"] == 24


def test_a_stream_takes_over_from_the_first_token_on(idle: Server) -> None:
    body, number = request(stream=True), {"X-Request-ID": uuid.uuid4().hex}
    before = ended(idle, "length")
    begin(idle, body, **number)
    wait_until(lambda: ended(idle, "length") == before + 1, what="it is not made before somebody asks")
    taken, again = (text_of(idle.client.post(PATH, json=body, headers=number).text) for _time in range(2))
    assert taken
    assert taken == again
    assert ended(idle, "length") == before + 2


def test_nobody_comes(strict_server: Server) -> None:
    cancelled = ended(strict_server, "cancelled")
    assert begin(strict_server, request(**LONG), **{"X-Request-ID": "nobody"}).status_code == 202
    wait_until(lambda: ended(strict_server, "cancelled") == cancelled + 1)


def test_another_request_ends_what_was_begun(idle: Server) -> None:
    body, number = request(**LONG), {"X-Request-ID": uuid.uuid4().hex}
    cancelled = ended(idle, "cancelled")
    begin(idle, body, **number)
    other = idle.client.post(PATH, json={**body, "max_tokens": 2}, headers=number).json()
    assert other["usage"]["completion_tokens"] == 2
    wait_until(lambda: ended(idle, "cancelled") == cancelled + 1)


def test_what_was_begun_twice_is_made_once(idle: Server) -> None:
    body, number = request(**LONG), {"X-Request-ID": uuid.uuid4().hex}
    for _time in range(3):
        assert begin(idle, body, **number).status_code == 202
    with idle.client.stream("POST", PATH, json={**body, "stream": True}, headers=number) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if '"content":' in line)
        wait_until(lambda: idle.busy_slots() == 1)


@pytest.mark.parametrize("prefer", ["respond-async, wait=10", "wait=10, Respond-Async"])
def test_among_other_preferences(idle: Server, prefer: str) -> None:
    body, number = request(max_tokens=1), {"X-Request-ID": uuid.uuid4().hex}
    assert begin(idle, body, prefer, **number).status_code == 202
    assert idle.client.post(PATH, json=body, headers=number).status_code == 200


@pytest.mark.parametrize("prefer", ["", "wait=10", "no-respond-async", "return=respond-async"])
def test_without_the_preference_it_answers(idle: Server, prefer: str) -> None:
    assert begin(idle, request(max_tokens=1), prefer, **{"X-Request-ID": uuid.uuid4().hex}).status_code == 200


def test_without_a_request_id_it_answers(idle: Server) -> None:
    assert begin(idle, request(max_tokens=1)).status_code == 200


def test_what_is_refused_is_refused_at_once(idle: Server) -> None:
    refused = begin(idle, request(max_tokens=-1), **{"X-Request-ID": uuid.uuid4().hex})
    assert refused.status_code == 400
