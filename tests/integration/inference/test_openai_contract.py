"""What the web needs of a model service, asked over HTTP alone: of ours, or of any OpenAI-compatible server.

    CONTRACT_URL=http://gpu-host:8000 CONTRACT_MODEL=NAME [CONTRACT_API_KEY=...] \\
        python -m pytest tests/integration/inference/test_openai_contract.py

Without CONTRACT_URL it starts our service with the default model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import jsonschema
import pytest

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
CHINESE = [{"role": "user", "content": "Repeat exactly: 你好，世界 🙂👩‍👩‍👧"}]
SECONDS = 120.0


@dataclass(frozen=True)
class Service:
    """A service under contract."""

    client: httpx.Client
    model: str

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(path, json={"model": self.model, **body})

    def ask(self, messages: list[Any] = QUESTION, **more: Any) -> dict[str, Any]:
        body = {"messages": messages, "max_tokens": 32, "temperature": 0, **more}
        response = self.post("/v1/chat/completions", **body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def text(self, *arguments: Any, **more: Any) -> str:
        return str(self.ask(*arguments, **more)["choices"][0]["message"]["content"])

    def lines(self, messages: list[Any] = QUESTION, **more: Any) -> Iterator[str]:
        """The lines of a streamed answer."""
        body = {"model": self.model, "messages": messages, "max_tokens": 32, "temperature": 0, **more}
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        with self.client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200
            yield from response.iter_lines()

    def chunks(self, *arguments: Any, **more: Any) -> list[dict[str, Any]]:
        data = [line.removeprefix("data: ") for line in self.lines(*arguments, **more) if line.startswith("data: ")]
        assert data[-1] == "[DONE]"
        return [json.loads(line) for line in data[:-1]]


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    url, key = os.environ.get("CONTRACT_URL"), os.environ.get("CONTRACT_API_KEY")
    model = os.environ.get("CONTRACT_MODEL", "smollm2-135m-instruct")
    if not url:
        url = request.getfixturevalue("server").url
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=url, headers=headers, timeout=SECONDS) as client:
        yield Service(client, model)


def streamed_text(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_it_lists_the_model(service: Service) -> None:
    assert service.model in [model["id"] for model in service.client.get("/v1/models").json()["data"]]


def test_a_whole_answer_has_text_a_reason_and_usage(service: Service) -> None:
    answer = service.ask()
    choice, usage = answer["choices"][0], answer["usage"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].strip()
    assert choice["finish_reason"] in ("stop", "length")
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_stream_says_the_same_and_ends_with_a_reason_usage_and_done(service: Service) -> None:
    chunks = service.chunks()
    assert streamed_text(chunks) == service.text()
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert reasons in (["stop"], ["length"])
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert usages[-1]["prompt_tokens"] == service.ask()["usage"]["prompt_tokens"]


def test_it_stops_at_the_number_of_tokens(service: Service) -> None:
    answer = service.ask([{"role": "user", "content": "Count from one to one hundred."}], max_tokens=5)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5


def test_it_stops_before_a_stop_string(service: Service) -> None:
    whole = service.text()
    word = whole.split()[1]
    assert service.text(stop=[word]) == whole[: whole.index(word)]


def test_a_seed_gives_the_same_answer(service: Service) -> None:
    sampled = {"temperature": 1.0, "top_p": 0.9, "max_tokens": 24}
    first, second = (service.text(seed=7, **sampled) for _ in range(2))
    assert first == second
    assert len({service.text(seed=seed, **sampled) for seed in range(4)}) > 1


def test_no_chunk_of_a_stream_breaks_a_character(service: Service) -> None:
    chunks = service.chunks(CHINESE, max_tokens=48)
    assert all("\ufffd" not in streamed_text([chunk]) for chunk in chunks[:-2])


def test_it_takes_what_the_web_adds_to_openais_fields(service: Service) -> None:
    extended = {"priority": 2, "user": "someone", "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1}
    assert service.text(temperature=0.7, **extended)


def test_it_goes_on_where_a_reply_broke_off(service: Service) -> None:
    begun = [*QUESTION, {"role": "assistant", "content": "The capital of France is"}]
    text = service.text(begun, continue_final_message=True, add_generation_prompt=False)
    assert not text.lower().startswith(("the capital of", " the capital of"))
    assert "Paris" in text


def test_it_counts_the_tokens_of_a_prompt_as_it_will_bill_them(service: Service) -> None:
    counted = service.client.post("/tokenize", json={"model": service.model, "messages": QUESTION}).json()
    assert counted["count"] == service.ask()["usage"]["prompt_tokens"]
    assert counted["max_model_len"] > counted["count"]
    longer = service.client.post("/tokenize", json={"model": service.model, "prompt": "word " * 50}).json()
    assert longer["count"] > 40


def test_an_answer_follows_a_schema(service: Service) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "is_capital": {"type": "boolean"}},
        "required": ["city", "is_capital"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    jsonschema.validate(json.loads(service.text(response_format=wanted, max_tokens=120)), schema)


def test_a_prompt_that_is_too_long_is_refused(service: Service) -> None:
    window = service.client.post("/tokenize", json={"model": service.model, "prompt": "x"}).json()["max_model_len"]
    response = service.post("/v1/chat/completions", messages=[{"role": "user", "content": "word " * 2 * window}])
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_an_unknown_model_is_not_found(service: Service) -> None:
    response = service.post("/v1/chat/completions", model="no-such-model", messages=QUESTION)
    assert response.status_code == 404
    assert response.json()["error"]["message"]


def test_leaving_a_stream_frees_the_service_for_others(service: Service) -> None:
    for _ in range(12):
        lines = service.lines([{"role": "user", "content": "Tell a very long story."}], max_tokens=2000)
        next(line for line in lines if line.startswith("data: "))
        lines.close()  # type: ignore[attr-defined]
    assert service.text()
