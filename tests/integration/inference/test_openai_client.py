"""The official client against the real server with the real model."""

from __future__ import annotations

import json
import socket
from typing import Any

import jsonschema
import openai
import pytest

from tests.integration.inference.conftest import Server

MODEL = "smollm2-135m-instruct"
FRANCE: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
CHINESE: list[Any] = [{"role": "user", "content": "Repeat exactly: 你好，世界 🙂👩‍👩‍👧"}]


def ask(client: openai.OpenAI, messages: list[Any] = FRANCE, **more: Any) -> Any:
    return client.chat.completions.create(
        model=MODEL, messages=messages, **{"max_tokens": 40, "temperature": 0, **more}
    )


def test_it_answers(client: openai.OpenAI) -> None:
    reply = ask(client)
    assert "Paris" in reply.choices[0].message.content
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    receipt = reply.model_extra["parley"]
    assert receipt["model_version"].startswith(f"{MODEL}@")
    assert receipt["timings"]["ttft_ms"] > 0


def test_a_stream_says_the_same_as_a_whole_reply_and_ends_with_usage_and_receipt(client: openai.OpenAI) -> None:
    whole = ask(client).choices[0].message.content
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    last = chunks[-1]
    assert last.choices == []
    assert last.usage.prompt_tokens_details.cached_tokens > 0
    assert set(last.model_extra["parley"]) == {"model_version", "seed", "template_sha256", "timings"}


def test_no_chunk_holds_a_broken_character(client: openai.OpenAI) -> None:
    for seed in range(3):
        for chunk in ask(client, CHINESE, stream=True, temperature=1.5, seed=seed, max_tokens=60):
            assert "\ufffd" not in (chunk.choices[0].delta.content or "")


def test_a_seed_gives_the_same_reply_alone_and_in_company(client: openai.OpenAI) -> None:
    sampled = {"temperature": 0.9, "seed": 1234, "max_tokens": 48}
    alone = ask(client, **sampled).choices[0].message.content
    others = [ask(client, CHINESE, temperature=1.0, max_tokens=64, stream=True) for _ in range(4)]
    in_company = ask(client, **sampled).choices[0].message.content
    for other in others:
        other.close()
    assert in_company == alone
    assert ask(client, **{**sampled, "seed": 99}).choices[0].message.content != alone


def test_n_replies_differ_and_the_first_is_that_of_the_seed(client: openai.OpenAI) -> None:
    replies = ask(client, n=3, temperature=1.2, seed=5, max_tokens=24)
    texts = [choice.message.content for choice in replies.choices]
    assert len(set(texts)) > 1
    assert texts[0] == ask(client, temperature=1.2, seed=5, max_tokens=24).choices[0].message.content


def test_a_stop_string_that_spans_tokens_ends_the_reply_unseen(client: openai.OpenAI) -> None:
    full = ask(client).choices[0].message.content
    stop = full[full.index("Paris") - 3 : full.index("Paris") + 2]
    chunks = list(ask(client, stream=True, stop=[stop]))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == full[: full.index(stop)]


def test_an_interrupted_reply_goes_on_where_it_broke_off(client: openai.OpenAI) -> None:
    begun = [*FRANCE, {"role": "assistant", "content": "The capital of France is"}]
    reply = ask(client, begun, extra_body={"continue_final_message": True})
    assert reply.choices[0].message.content.startswith(" Paris")


def test_the_second_turn_reuses_the_first(client: openai.OpenAI) -> None:
    question = [{"role": "user", "content": "Tell me about the number 4711 in one sentence."}]
    first = ask(client, question)
    again = [*question, {"role": "assistant", "content": first.choices[0].message.content}]
    second = ask(client, [*again, {"role": "user", "content": "And now shorter."}])
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens


def test_logprobs_are_sane(client: openai.OpenAI) -> None:
    reply = ask(client, logprobs=True, top_logprobs=3, max_tokens=5)
    entries = reply.choices[0].logprobs.content
    assert len(entries) == 5
    for entry in entries:
        assert entry.logprob <= 0
        assert entry.top_logprobs[0].token == entry.token
        assert entry.logprob == pytest.approx(entry.top_logprobs[0].logprob)


def test_a_json_schema_is_followed(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "inhabitants": {"type": "integer"}},
        "required": ["city", "inhabitants"],
        "additionalProperties": False,
    }
    reply = ask(
        client,
        temperature=1.0,
        seed=3,
        max_tokens=80,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    )
    jsonschema.validate(json.loads(reply.choices[0].message.content), schema)


def test_a_bare_completion_goes_on_with_the_text(client: openai.OpenAI) -> None:
    reply = client.completions.create(model=MODEL, prompt="The capital of France is", max_tokens=4, temperature=0)
    assert "Paris" in reply.choices[0].text
    pieces = client.completions.create(
        model=MODEL, prompt="The capital of France is", max_tokens=4, temperature=0, stream=True
    )
    assert "".join(piece.choices[0].text for piece in pieces) == reply.choices[0].text


def test_control_tokens_typed_by_a_user_are_text(server: Server) -> None:
    def count(content: str) -> int:
        answer = server.client.post("/tokenize", json={"messages": [{"role": "user", "content": content}]}).json()
        return int(answer["count"])

    assert count("<|im_end|>") - count("") > 3


def test_tokenize_counts_what_the_prompt_will_have(server: Server, client: openai.OpenAI) -> None:
    answer = server.client.post("/tokenize", json={"messages": FRANCE}).json()
    assert answer == {"count": ask(client, max_tokens=1).usage.prompt_tokens, "max_model_len": 8192}


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    listed = client.models.list().data
    assert [model.id for model in listed] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        ({"model": "nobody"}, openai.NotFoundError, "model_not_found"),
        ({"messages": []}, openai.BadRequestError, "invalid_request"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, openai.BadRequestError, "invalid_request"),
        ({"temperature": -1}, openai.BadRequestError, "invalid_request"),
        ({"max_tokens": 0}, openai.BadRequestError, "invalid_request"),
        ({"n": 1000}, openai.BadRequestError, None),
        ({"logit_bias": {"999999": 1}}, openai.BadRequestError, None),
        (
            {"messages": [{"role": "user", "content": "long " * 9000}]},
            openai.BadRequestError,
            "context_length_exceeded",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "wrong"}}}},
            openai.BadRequestError,
            "invalid_json_schema",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_requests_get_a_clear_error(
    client: openai.OpenAI, change: dict[str, Any], error: type[openai.APIStatusError], code: str | None
) -> None:
    request: dict[str, Any] = {"model": MODEL, "messages": FRANCE, "max_tokens": 4, **change}
    with pytest.raises(error) as raised:
        client.chat.completions.create(**request)
    assert raised.value.code == code
    body = raised.value.response.json()
    assert set(body["error"]) == {"message", "type", "param", "code"}


def test_a_lone_surrogate_and_broken_json_are_refused(server: Server) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (rb'{"messages":[{"role":"user","content":"\ud800"}]}', b"{", b"[]", b"\xff"):
        answer = server.client.post("/v1/chat/completions", content=body, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]


def test_a_nul_character_is_just_a_character(client: openai.OpenAI) -> None:
    assert ask(client, [{"role": "user", "content": "a\x00b"}], max_tokens=1).choices[0].finish_reason == "length"


def test_a_body_that_is_too_large_is_refused_whatever_it_claims(server: Server) -> None:
    def pieces() -> Any:
        yield from (b"x" * 1_000_000 for _ in range(6))

    headers = {"Content-Type": "application/json"}
    for content in (b"x" * 5_000_000, pieces()):
        answer = server.client.post("/v1/chat/completions", content=content, headers=headers)
        assert answer.status_code == 413


def test_who_is_still_sending_a_body_that_is_too_large_can_read_the_answer(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n")
        assert connection.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 413"  # the answer is there, nothing is read of it
        connection.sendall(b"x" * 5_000_000)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"body_too_large" in answer


def test_the_log_holds_no_word_of_a_prompt_or_a_reply(server: Server, client: openai.OpenAI) -> None:
    ask(client, [{"role": "user", "content": "My password is xylophone-7731."}])
    log = server.log.read_text()
    assert "xylophone" not in log
    assert any(line["event"] == "completion" for line in server.lines())


def test_embeddings_through_the_official_client(client):
    answer = client.embeddings.create(model="all-minilm-l6-v2", input=["red apples", "green apples", "tax law"])
    red, green, tax = (item.embedding for item in answer.data)

    def likeness(one, other):
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert len(red) == 384
    assert likeness(red, green) > likeness(red, tax)
    assert answer.usage.prompt_tokens > 6


def test_an_unknown_embedding_model_is_named(client):
    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        client.embeddings.create(model="no-such-model", input="hello")
