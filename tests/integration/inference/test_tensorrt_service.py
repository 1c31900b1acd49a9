"""The whole service over the TensorRT network: the default model, interpreted on the CPU, behind HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.integration.inference.conftest import Server, start_server

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx has wheels for x86-64 Linux and Windows only")
MODEL = "smollm2-135m-instruct"
FRANCE: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory, default_model: Path) -> Iterator[Server]:
    running = start_server(
        tmp_path_factory.mktemp("interpreted"),
        default_model,
        INFERENCE_ENGINE="interpreter",
        INFERENCE_PRECISION="float32",
        INFERENCE_SLOTS="4",
        INFERENCE_CONTEXT="256",
    )
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def asking(interpreted: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{interpreted.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, messages: list[Any], **more: Any) -> Any:
    return client.chat.completions.create(
        model=MODEL, messages=messages, **{"max_tokens": 12, "temperature": 0, **more}
    )


def test_it_answers_and_says_what_it_runs_on(asking: openai.OpenAI, interpreted: Server) -> None:
    assert "Paris" in ask(asking, FRANCE).choices[0].message.content
    described = interpreted.client.get(f"/v1/models/{MODEL}").json()
    assert described["precision"] == "float32-interpreted"
    assert described["device"] == "cpu"
    assert described["device_reason"]
    assert interpreted.client.get("/readyz").json()["devices"][MODEL].startswith("cpu: ")


def test_a_later_turn_reuses_its_slot_and_a_stranger_does_not_disturb_it(asking: openai.OpenAI) -> None:
    first = ask(asking, FRANCE).choices[0].message.content
    stranger = ask(asking, [{"role": "user", "content": "Count to five."}], stream=True)
    turn = [*FRANCE, {"role": "assistant", "content": first}, {"role": "user", "content": "And of Italy?"}]
    second = ask(asking, turn)
    assert "Rome" in second.choices[0].message.content
    assert second.usage.prompt_tokens_details.cached_tokens > 0
    assert "".join(choice.delta.content or "" for chunk in stranger for choice in chunk.choices)
