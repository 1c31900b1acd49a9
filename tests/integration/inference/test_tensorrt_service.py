"""The whole service over the TensorRT network: the default model, interpreted on the CPU, behind HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import torch

from tests.integration.inference.conftest import ROOT, Server, start_server

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


CARD = """
import torch

torch.backends.cuda.is_built = torch.cuda.is_available = lambda: True
torch.cuda.get_device_capability = lambda: (8, 9)
torch.cuda.get_device_name = lambda: "NVIDIA L4"
torch.cuda.mem_get_info = lambda: (500_000_000, 24_000_000_000)
"""
"""Python reads it first: a card that torch sees, where no plan fits. There is none, so torch on CUDA fails, too."""


@pytest.fixture(scope="module")
def on_a_full_gpu(tmp_path_factory: pytest.TempPathFactory, default_model: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("full-gpu")
    (folder / "sitecustomize.py").write_text(CARD)
    running = start_server(folder, default_model, PYTHONPATH=f"{folder}:{ROOT}", INFERENCE_DEVICE="auto")
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a real GPU torch would take the place")
def test_a_gpu_that_fails_is_left_for_the_cpu_and_the_log_and_both_addresses_say_why(on_a_full_gpu: Server) -> None:
    described = on_a_full_gpu.client.get(f"/v1/models/{MODEL}").json()
    reason = described["device_reason"]
    assert described["device"] == "cpu"
    for part in ("NVIDIA L4, compute capability 8.9", "tensorrt failed: ", "0.5 GB are free", "cuda failed: "):
        assert part in reason
    assert on_a_full_gpu.client.get("/readyz").json()["devices"][MODEL] == f"cpu: {reason}"

    lines = on_a_full_gpu.lines()
    (loaded,) = [line for line in lines if line["event"] == "model loaded" and line.get("model") == MODEL]
    assert (loaded["device"], loaded["reason"]) == ("cpu", reason)
    failed = [line for line in lines if line["event"] == "this way to use the GPU failed"]
    assert [line["way"] for line in failed] == ["tensorrt", "cuda"]
    assert all(line["level"] == "error" and line["reasons"] for line in failed)
    assert [line["level"] for line in lines if line["event"].startswith("the GPU cannot be used")] == ["error"]

    with openai.OpenAI(base_url=f"{on_a_full_gpu.url}/v1", api_key="unused", max_retries=0) as client:
        assert "Paris" in ask(client, FRANCE).choices[0].message.content


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
    assert interpreted.client.get("/readyz").json()["devices"][MODEL] == f"cpu: {described['device_reason']}"
    (loaded,) = [line for line in interpreted.lines() if line["event"] == "model loaded"]
    assert (loaded["device"], loaded["reason"]) == ("cpu", described["device_reason"])
    assert loaded["precision"] == "float32-interpreted"


def test_a_later_turn_reuses_its_slot_and_a_stranger_does_not_disturb_it(asking: openai.OpenAI) -> None:
    first = ask(asking, FRANCE).choices[0].message.content
    stranger = ask(asking, [{"role": "user", "content": "Count to five."}], stream=True)
    turn = [*FRANCE, {"role": "assistant", "content": first}, {"role": "user", "content": "And of Italy?"}]
    second = ask(asking, turn)
    assert "Rome" in second.choices[0].message.content
    assert second.usage.prompt_tokens_details.cached_tokens > 0
    assert "".join(choice.delta.content or "" for chunk in stranger for choice in chunk.choices)
