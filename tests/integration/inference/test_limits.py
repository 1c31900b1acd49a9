"""What the service does not put up with, tried on the real server with the real model."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter

import httpx
import pytest

from tests.integration.inference.conftest import PATH, STRICT_KEY, Server
from tests.waiting import wait_until


def body(**more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": "Hello"}], "ignore_eos": True, "max_tokens": 8, **more}


WRONG_KEYS = [None, "", "Bearer", "Bearer wrong", STRICT_KEY, f"Basic {STRICT_KEY}", "Bearer ключ"]


@pytest.mark.parametrize("header", WRONG_KEYS)
def test_without_the_key_nothing_but_the_probes_answers(strict_server: Server, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    with httpx.Client(base_url=strict_server.url, headers=headers) as stranger:
        answers = [
            stranger.post(PATH, json=body()),
            stranger.post("/v1/completions", json={"prompt": "x"}),
            stranger.post("/tokenize", json={"prompt": "x"}),
            stranger.get("/v1/models"),
            stranger.post("/admin/models", json={"name": "x", "path": "/etc"}),
            stranger.delete("/admin/models/smollm2-135m-instruct"),
        ]
        for answer in answers:
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
            assert STRICT_KEY not in answer.text
        assert [stranger.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]


def test_with_the_key_it_answers(strict_server: Server) -> None:
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {STRICT_KEY}"}
        assert strict_server.client.post(PATH, json=body(), headers=headers).status_code == 200


def test_a_reader_who_does_not_read_is_cut_off_and_little_is_kept_for_them(strict_server: Server) -> None:
    """Four replies with their alternatives are about half a megabyte a second; nobody takes it."""
    wait_until(lambda: strict_server.busy_slots() == 0, seconds=10)
    sockets = strict_server.sockets()
    talk = json.dumps(body(stream=True, n=4, logprobs=True, top_logprobs=20, max_tokens=1900)).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {STRICT_KEY}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(talk)}\r\n\r\n"
    host, port = strict_server.url.removeprefix("http://").split(":")
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((host, int(port)))
        reader.sendall(head.encode() + talk)
        wait_until(lambda: strict_server.busy_slots() == 4, seconds=10)
        made = strict_server.metric("inference_reply_tokens_total")
        wait_until(lambda: strict_server.busy_slots() == 0, seconds=30)
        assert strict_server.metric("inference_reply_tokens_total") - made < 4 * 1800
        # The connection itself is gone, although its last bytes were never read.
        wait_until(lambda: strict_server.sockets() <= sockets, seconds=10)
        received = 0
        try:
            while piece := reader.recv(1 << 16):
                received += len(piece)
        except ConnectionResetError:
            pass
        assert received < 1_000_000
    assert strict_server.lines()[-1]["finish"] == ["cancelled"] * 4


async def test_a_flood_is_served_or_told_when_to_come_back(strict_server: Server) -> None:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=strict_server.url, headers=strict_server.client.headers, timeout=60.0, limits=limits
    ) as flood:
        answers = await asyncio.gather(*(flood.post(PATH, json=body(stream=turn % 2 == 0)) for turn in range(60)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429}
    assert statuses[200] >= 4
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json()["error"]["code"] == "queue_full"
        else:
            assert '"finish_reason":"length"' in answer.text
    wait_until(lambda: strict_server.busy_slots() == 0, seconds=10)
    assert strict_server.metric("inference_queue_length") == 0
    assert strict_server.metric("inference_requests_rejected_total") == statuses[429]


@pytest.mark.parametrize("stream", [False, True])
def test_a_deadline_that_passes_in_the_queue_is_answered_503_before_any_work(
    strict_server: Server, stream: bool
) -> None:
    with strict_server.hold_slots(4):
        taken_in = strict_server.metric("inference_prompt_tokens_total")
        answer = strict_server.client.post(PATH, json=body(deadline=0.05, stream=stream))
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "deadline_exceeded"
        assert strict_server.metric("inference_prompt_tokens_total") == taken_in


def test_a_client_that_leaves_frees_its_slot_within_a_step_or_two(strict_server: Server) -> None:
    wait_until(lambda: strict_server.busy_slots() == 0, seconds=10)
    before = strict_server.metric("inference_reply_tokens_total")
    received = 0
    with strict_server.client.stream("POST", PATH, json=body(stream=True, max_tokens=1500)) as answer:
        for line in answer.iter_lines():
            received += '"content":"' in line
            if received == 20:
                break
    wait_until(lambda: strict_server.busy_slots() == 0, seconds=2)
    made = strict_server.metric("inference_reply_tokens_total") - before
    # What is on its way to the client when it leaves counts, too: a few steps at most, not hundreds.
    assert made <= received + 25


def test_a_request_that_waits_is_told_its_place(strict_server: Server) -> None:
    with (
        strict_server.hold_slots(4),
        strict_server.client.stream("POST", PATH, json=body(stream=True)) as answer,
    ):
        assert next(answer.iter_lines()).startswith(": queue 1")


@pytest.mark.parametrize(
    "bad",
    [
        b'{"messages":[{"role":"user","content":"x"}],"temperature":NaN}',
        b'{"messages":[{"role":"user","content":"x"}],"temperature":1e999}',
        b'{"messages":[{"role":"user","content":"x"}],"logit_bias":{"5":-Infinity}}',
        b'{"messages":[{"role":"user","content":"x"}],"logit_bias":{"5":1e30}}',
        b'{"messages":[{"role":"user","content":"x"}],"logit_bias":{"-1":1}}',
        b'{"messages":[{"role":"user","content":"x"}],"n":5}',
        b'{"messages":[{"role":"user","content":"x"}],"max_tokens":-1}',
        b'{"messages":[{"role":"user","content":"x"}],"seed":99999999999999999999999}',
        b'{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}]}',
        b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}',
        b'{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":'
        b'{"name":"x","schema":{"type":"object","properties":{"a":{"$ref":"#/nowhere"}}}}}}',
    ],
)
def test_an_absurd_request_is_refused_and_disturbs_no_other(strict_server: Server, bad: bytes) -> None:
    with strict_server.hold_slots(1, max_tokens=1500):
        answer = strict_server.client.post(PATH, content=bad, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        said = strict_server.metric("inference_reply_tokens_total")
        wait_until(lambda: strict_server.metric("inference_reply_tokens_total") > said + 2, seconds=10)


def test_the_strongest_bias_that_is_allowed_does_what_it_says(strict_server: Server) -> None:
    forced = strict_server.client.post(PATH, json=body(logit_bias={"5": 100}, temperature=0, logprobs=True))
    entries = forced.json()["choices"][0]["logprobs"]["content"]
    assert len({entry["token"] for entry in entries}) == 1
    assert all(entry["logprob"] < -1 for entry in entries)


def test_it_is_ready_for_the_next_who_asks(strict_server: Server) -> None:
    """After all of the above: nothing is held, and a plain request is answered quickly."""
    wait_until(lambda: strict_server.busy_slots() == 0, seconds=10)
    began = time.monotonic()
    assert strict_server.client.post(PATH, json=body()).status_code == 200
    assert time.monotonic() - began < 10
    assert not [line for line in strict_server.lines() if line["level"] in ("error", "critical")]
