"""From the settings to a checked executor, on a simulated GPU: all of it but NVIDIA's runtime and torch's CUDA.

Plans are built by the real compiler and run by the interpreter; memory and the card are what the simulation says.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from inference.errors import InferenceError
from inference.executor import tensorrt_executor
from inference.executor.base import NOBODY_FED, Fed, Segment
from inference.executor.interpreter_executor import make_interpreter_executor
from inference.executor.torch_executor import TorchExecutor
from inference.loading import place
from inference.sampling import SamplingParameters
from inference.settings import Settings
from inference.tensorrt import check_command, device
from inference.tensorrt.contract import contract
from inference.tensorrt.memory import budget
from inference.tensorrt.plan_cache import PlanCache
from inference.tensorrt.precision import precision_named
from inference.tensorrt.profiles import Limits
from inference.tensorrt.slot_executor import SlotExecutor
from inference.weights import WeightSource, open_weights
from tests.unit.inference.tensorrt.simulated_gpu import simulated_machine
from tests.unit.inference.test_model_agreement import save_random_checkpoint

POSITIONS = 60
SIZES = {"hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2}
"""For which TensorRT has a fused attention."""
PRECISION = "float16"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trt: Any) -> WeightSource:
    """A checkpoint, in a folder where plans may be kept."""
    monkeypatch.chdir(tmp_path)
    save_random_checkpoint(tmp_path / "model", "Llama", SIZES)
    return open_weights(tmp_path / "model")


def settings(wanted: str = "auto") -> Settings:
    return Settings(device=wanted, precision=PRECISION, slots=3, chunk=16)


def test_a_gpu_with_tensorrt_is_used_by_itself_and_its_plan_is_kept(
    source: WeightSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = simulated_machine(monkeypatch, source, precision=PRECISION, positions=POSITIONS)
    executor, choice = place(source, settings(), positions=POSITIONS)
    assert isinstance(executor, SlotExecutor)
    assert (choice.device, executor.precision) == ("tensorrt", "float16-tensorrt_rtx")
    assert choice.reason == "NVIDIA L4, compute capability 8.9"
    (plan,) = PlanCache().plans()
    assert plan.description["target"] == 89
    assert cuda.pools  # steps were recorded

    sizes = {"slots": 3, "positions": POSITIONS, "max_chunk": 16}
    interpreted = make_interpreter_executor(source, precision=PRECISION, **sizes)
    prompts, tokens = [Segment(0, 0, list(range(30))), Segment(2, 0, [5, 6])], [Segment(0, 30, [1]), Segment(2, 2, [7])]
    for segments in (prompts, tokens):
        torch.testing.assert_close(executor.forward(segments), interpreted.forward(segments))
    place(source, settings(), positions=POSITIONS)
    assert len(PlanCache().plans()) == 1


def test_no_usual_reply_and_no_company_of_such_waits_for_a_recording(
    source: WeightSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = simulated_machine(monkeypatch, source, precision=PRECISION, positions=POSITIONS)
    executor, _ = place(source, settings(), positions=POSITIONS)
    assert isinstance(executor, SlotExecutor)
    recorded = len(cuda.pools)
    plain = SamplingParameters(temperature=0.7)
    usual = (
        SamplingParameters(temperature=0.0),
        plain,
        replace(plain, top_k=20),
        replace(plain, top_p=0.9, logprobs=5),
    )
    for company in product(usual, repeat=2):
        for slots in ((0, 1), (0, 2)):
            for slot, kind in zip(slots, company, strict=True):
                executor.begin(slot, kind, [1])
            executor.launch([Segment(slot, 0, [1]) for slot in slots], NOBODY_FED, {}).read()
    assert len(cuda.pools) == recorded
    executor.begin(0, replace(plain, frequency_penalty=0.5), [1])
    executor.launch([Segment(0, 0, [1])], NOBODY_FED, {}).read()
    assert len(cuda.pools) == recorded + 1  # rare, so when it first comes


def test_the_host_waits_once_a_step_and_only_where_it_reads(
    source: WeightSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = simulated_machine(monkeypatch, source, precision=PRECISION, positions=POSITIONS)
    executor, _ = place(source, settings(), positions=POSITIONS)
    assert isinstance(executor, SlotExecutor)
    for slot in range(3):
        executor.begin(slot, SamplingParameters(temperature=0.7, logprobs=2), [1, 2])
    waited = cuda.waits
    before = executor.launch([Segment(slot, 0, [1, 2]) for slot in range(3)], NOBODY_FED, {})
    for step in range(5):
        launched = executor.launch([Segment(2, 2 + step, [3])], Fed([0, 1], [2 + step] * 2), {})
        assert cuda.waits == waited + step
        before.read()
        assert cuda.waits == waited + step + 1
        before = launched


@pytest.mark.parametrize(
    ("memory", "numbers"),
    [({"free": 500_000_000}, r"0\.\d GB are needed and 0\.5 GB are free"), ({"scratch": 10**12}, r"scratch 1000\.00")],
    ids=["too little is free", "the loaded plan asks for too much"],
)
def test_what_does_not_fit_is_left_for_torch_with_the_numbers(
    memory: dict[str, int], numbers: str, source: WeightSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated_machine(monkeypatch, source, precision=PRECISION, positions=POSITIONS, **memory)
    monkeypatch.setattr(device, "GPU", torch.device("cpu", 0))
    executor, choice = place(source, settings(), positions=POSITIONS)
    assert isinstance(executor, TorchExecutor)
    assert choice.device == "cuda"
    assert re.search(numbers, choice.reason)


@pytest.mark.parametrize("precision", ["auto", "float16", "fp8", "int4", "bfloat16"])
def test_a_gpu_that_computes_nothing_right_is_left_for_the_cpu_and_the_log_says_why(
    precision: str, source: WeightSource, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no CUDA in the torch of these tests, so what asks for it fails."""
    simulated_machine(monkeypatch, source, precision="float16", positions=POSITIONS, free=500_000_000)
    automatic = Settings(precision=precision, slots=3, chunk=16)
    executor, choice = place(source, automatic, positions=POSITIONS)
    assert choice.device == "cpu"
    assert executor.forward([Segment(0, 0, [1])]).shape == (1, source.config.vocabulary)
    for reason in ("NVIDIA L4", "tensorrt failed: 0.", "GB are free", "cuda failed: "):
        assert reason in choice.reason
    assert "the GPU cannot be used, the CPU takes its place" in caplog.text


def test_what_a_model_was_promised_and_has_not_taken_is_not_given_to_the_next_one(
    source: WeightSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for choosing tokens is idle between steps, and some is taken when a kind of reply first comes."""
    scratch = 50_000_000  # more than the compiler says, so that the loaded plan has the last word
    cuda = simulated_machine(monkeypatch, source, precision=PRECISION, positions=POSITIONS, scratch=scratch)
    first, _ = place(source, settings("tensorrt"), positions=POSITIONS)
    contracted = contract(source.config, precision_named(PRECISION), positions=POSITIONS)
    needed = budget(contracted, Limits(3, 16, POSITIONS), scratch=scratch)
    cuda.allocated = needed.total - needed.runtime - needed.sampling  # what it holds for good
    cuda.free = needed.total + needed.sampling // 2
    with pytest.raises(InferenceError, match=r"GB are needed and 0\.\d GB are free"):
        place(source, settings("tensorrt"), positions=POSITIONS)
    cuda.free = needed.total + needed.sampling
    place(source, settings("tensorrt"), positions=POSITIONS)[0].close()
    first.close()
    cuda.allocated, cuda.free = 0, needed.total
    place(source, settings("tensorrt"), positions=POSITIONS)


def test_the_memory_is_asked_for_again_after_a_build(source: WeightSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build takes a minute, and others on the GPU do not wait."""
    cuda = simulated_machine(monkeypatch, source, precision=PRECISION, positions=POSITIONS)
    build = tensorrt_executor.build_plan

    def slow(*arguments: Any) -> Any:
        cuda.free = 500_000_000
        return build(*arguments)

    monkeypatch.setattr(tensorrt_executor, "build_plan", slow)
    with pytest.raises(InferenceError, match=r"0\.5 GB are free"):
        place(source, settings("tensorrt"), positions=POSITIONS)


@pytest.mark.parametrize("wanted", ["tensorrt", "cuda"])
def test_a_gpu_that_was_asked_for_by_name_is_not_replaced(
    wanted: str, source: WeightSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated_machine(monkeypatch, source, precision=PRECISION, positions=POSITIONS, free=500_000_000)
    with pytest.raises(InferenceError, match=rf"{wanted} failed.*INFERENCE_DEVICE=cpu"):
        place(source, settings(wanted), positions=POSITIONS)


@pytest.mark.parametrize("way", ["tensorrt", "cuda"])
def test_the_whole_check_runs_on_it_and_reports_its_speed(
    way: str, source: WeightSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    simulated_machine(monkeypatch, source, precision=PRECISION, positions=POSITIONS)
    monkeypatch.setattr(device, "GPU", torch.device("cpu", 0))
    monkeypatch.setattr(check_command, "bytes_per_second", lambda copy=check_command.bytes_per_second: copy() and 1e3)
    monkeypatch.setattr(check_command, "COPY_BYTES", 1 << 20)
    sizes = {"max_batch": 2, "max_len": POSITIONS, "short": False, "report": tmp_path / "report.json"}
    options = argparse.Namespace(model=tmp_path / "model", way=way, precision=PRECISION, **sizes)
    status = check_command.run(options)
    report = json.loads((tmp_path / "report.json").read_text())
    assert {result["name"]: result["is_good"] for result in report["results"]}["throughput"]
    assert (status, report["is_plan"], report["machine"]["gpu"]) == (0, way == "tensorrt", "NVIDIA L4")
