"""The check passes what computes the model and catches each way of being wrong; no GPU is needed to ask."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.executor import gpu
from inference.executor.base import Fed, Segment
from inference.executor.interpreter_executor import make_interpreter_executor
from inference.executor.torch_executor import TorchExecutor
from inference.sampling import SamplingParameters
from inference.slot_sampler import Choices
from inference.tensorrt import check_command, gpu_check
from inference.tensorrt.bindings import Launch
from inference.tensorrt.gpu_check import Subject, examine, throughput
from inference.tensorrt.launched import LaunchedStep
from inference.tensorrt.profiles import DECODE
from inference.tensorrt.slot_executor import SlotExecutor
from inference.weights import open_weights
from tests.unit.inference.tensorrt.checked import (
    POSITIONS,
    Crossed,
    Forgetful,
    Noisy,
    Overlong,
    Wrong,
    failed,
    interpreted,
    reference,
)
from tests.unit.inference.test_model_agreement import save_random_checkpoint


def test_the_network_passes_every_question(checkpoint: Path, trt: Any) -> None:
    results = list(examine(Subject(interpreted(checkpoint), reference(checkpoint))))
    assert [(result.name, result.detail) for result in results if not result.is_good] == []
    assert len(results) == len(gpu_check.FULL)


@pytest.mark.parametrize(
    ("wrong", "question"),
    [(Forgetful, "chunks"), (Crossed, "ragged decode"), (Overlong, "ragged decode"), (Noisy, "repeatability")],
)
def test_each_fault_is_caught(wrong: type[Wrong], question: str, checkpoint: Path, trt: Any) -> None:
    assert question in failed(wrong(interpreted(checkpoint)), checkpoint)


def test_what_is_forgotten_late_in_a_slot_shows_in_a_long_text_alone(
    checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = interpreted(checkpoint)
    run, kept = candidate._runner.run, gpu_check.LEAST_POSITIONS

    def forgetting(*arguments: Any) -> torch.Tensor:
        logits = run(*arguments)
        for cache in candidate.caches.values():
            cache[:, :, kept:] = 0
        return logits

    monkeypatch.setattr(candidate._runner, "run", forgetting)
    assert failed(candidate, checkpoint, gpu_check.FULL) == {"long context"}


def test_a_long_text_reaches_the_end_of_the_slot_whatever_its_length(tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, "Llama", {"num_hidden_layers": 1})
    sizes = {"slots": 2, "positions": 4300, "precision": "float32"}
    candidate = make_interpreter_executor(open_weights(tmp_path), max_chunk=256, **sizes)
    subject = Subject(candidate, TorchExecutor(open_weights(tmp_path), **sizes))
    is_good, detail = gpu_check.long_context(subject)
    assert is_good
    assert detail.startswith("4300 tokens")
    assert candidate.caches["layers.0.key_cache"][0, :, 4299].any()
    assert not candidate.caches["layers.0.key_cache"][0, :, 4300].any()


@pytest.mark.parametrize(("largest", "precision"), [(2e9, "float32"), (0, "bfloat16")])
def test_the_command_holds_large_models_against_a_reference_in_16_bits(
    largest: float, precision: str, checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the service does, in the memory that the documentation promises."""
    subjects: list[Subject] = []
    monkeypatch.setattr(gpu, "LARGEST_IN_FLOAT32", largest)
    monkeypatch.setattr(check_command, "examine", lambda subject, _questions: subjects.append(subject) or [])
    sizes = {"max_batch": 2, "max_len": 100, "short": True, "report": None}
    options = argparse.Namespace(model=checkpoint, way="interpreter", precision="float16", **sizes)
    assert check_command.run(options) == 0
    assert (subjects[0].reference.precision, subjects[0].reference.positions) == (precision, 100)


def test_weights_that_are_not_taken_from_where_they_now_lie_are_caught(
    checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = interpreted(checkpoint)
    monkeypatch.setattr(candidate, "swap_weights", lambda _weights: None)
    assert failed(candidate, checkpoint, gpu_check.FULL) == {"swap"}


@pytest.mark.parametrize("is_plan", [True, False])
def test_a_device_that_is_slow_is_caught(
    is_plan: bool, checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that stands still but for the steps: how long this machine takes for one says nothing of the check."""
    candidate: Any = interpreted(checkpoint) if is_plan else reference(checkpoint)
    bound = {"weight_bytes": 100, "bytes_per_second": 1000.0, "steps": 3}
    limit = gpu_check.SLOWEST_OF_BOUND * 0.1 + gpu_check.LAUNCH_SECONDS
    stepping, forward = (candidate._runner, "run") if is_plan else (candidate, "forward")
    run, now, step = getattr(stepping, forward), 0.0, 0.0

    def timed(*arguments: Any) -> Any:
        nonlocal now
        now += step
        return run(*arguments)

    monkeypatch.setattr(stepping, forward, timed)
    monkeypatch.setattr(gpu_check, "time", SimpleNamespace(monotonic=lambda: now))
    step = 0.99 * limit
    assert throughput(candidate, **bound)[0]
    step = 1.01 * limit
    is_good, detail = throughput(candidate, **bound)
    assert not is_good
    assert "reading alone 100.00 ms" in detail


def test_speed_is_measured_a_step_ahead_of_the_host_as_the_service_runs(
    checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logits of all rows and tokens would travel to the host otherwise, which no reply waits for."""
    candidate = interpreted(checkpoint)
    said: list[str] = []
    read, launch, launch_next = LaunchedStep.read, candidate.launch, candidate.launch_next
    monkeypatch.setattr(LaunchedStep, "read", lambda step: (said.append("read"), read(step))[1])
    monkeypatch.setattr(candidate, "launch", lambda *arguments: (said.append("launch"), launch(*arguments))[1])
    monkeypatch.setattr(candidate, "launch_next", lambda: (said.append("launch next"), launch_next())[1])
    monkeypatch.setattr(candidate, "forward", lambda _segments: said.append("forward"))
    throughput(candidate, weight_bytes=1, bytes_per_second=1.0, steps=3)
    assert said == ["launch", "read", "launch", *["launch next", "read"] * 3, "read"]


@pytest.mark.parametrize("slots", [1, 2])
def test_a_gpu_with_room_for_one_reply_or_two_is_asked_too(slots: int, checkpoint: Path, trt: Any) -> None:
    source = open_weights(checkpoint)
    made = make_interpreter_executor(source, slots=slots, positions=POSITIONS, precision="float32", max_chunk=64)
    assert failed(made, checkpoint) == set()


def test_a_recorded_step_that_differs_from_the_same_step_run_is_caught(
    checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = interpreted(checkpoint)
    runner: Any = candidate._runner
    runner.uses_graphs = True
    run = runner.run
    monkeypatch.setattr(runner, "run", lambda *arguments: run(*arguments) + 0.5 * runner.uses_graphs)
    assert "repeatability" in failed(candidate, checkpoint)
    assert runner.uses_graphs


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_recorded_step_that_steps_of_other_sizes_spoil_is_caught(
    rows: int, checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that shares its execution context with them."""
    candidate = interpreted(checkpoint)
    runner: Any = candidate._runner
    runner.uses_graphs = True
    run, last = runner.run, 0

    def shared(launch: Launch, tensors: Any) -> torch.Tensor:
        nonlocal last
        if launch.profile != DECODE:
            return run(launch, tensors)
        if not runner.uses_graphs:
            last = launch.rows
        return run(launch, tensors) * (1.01 if runner.uses_graphs and launch.rows == rows != last else 1)

    monkeypatch.setattr(runner, "run", shared)
    assert "repeatability" in failed(candidate, checkpoint, [gpu_check.repeatability])


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_every_recorded_size_is_compared_with_the_same_step_run(
    rows: int, checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = interpreted(checkpoint)
    runner: Any = candidate._runner
    runner.uses_graphs = True
    run = runner.run

    def recorded(launch: Launch, tensors: Any) -> torch.Tensor:
        is_other = runner.uses_graphs and launch.profile == DECODE and launch.rows == rows
        return run(launch, tensors) * (1.01 if is_other else 1)

    monkeypatch.setattr(runner, "run", recorded)
    assert "repeatability" in failed(candidate, checkpoint, [gpu_check.repeatability])


def test_a_recorded_choice_that_differs_from_the_same_choice_made_is_caught(
    checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = interpreted(checkpoint)
    runner: Any = candidate._runner
    runner.uses_graphs = True

    def stale(key: Any, choose: Any) -> Choices:
        choices = choose()
        return replace(choices, tokens=choices.tokens + 1) if runner.uses_graphs and key[0] == 4 else choices

    monkeypatch.setattr(runner, "choose", stale)
    assert "repeatability" in failed(candidate, checkpoint, [gpu_check.repeatability])


def test_every_size_of_step_is_run_before_the_first_reply_and_the_largest_first(
    checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = interpreted(checkpoint)
    runner: Any = candidate._runner
    run, sizes = runner.run, []
    monkeypatch.setattr(runner, "run", lambda launch, tensors: (sizes.append(launch.rows), run(launch, tensors))[1])
    candidate.warm_up()
    assert list(dict.fromkeys(sizes)) == [4, 2, 1]
    assert failed(candidate, checkpoint) == set()


def test_what_is_no_number_does_not_outlive_its_reply(checkpoint: Path, trt: Any) -> None:
    """A kernel may multiply what lies past a row's length by nought, and nought times NaN is NaN."""
    candidate = interpreted(checkpoint)
    cache = candidate.caches["layers.0.value_cache"]
    cache[1] = torch.nan
    candidate.begin(1, SamplingParameters(), [1])
    assert cache[1].isnan().any()  # nobody has noticed yet
    assert candidate.launch([Segment(1, 1, [2])], Fed(), {}).read() == [None]
    candidate.forward([Segment(0, 0, [4, 5, 6], logits=0)])
    candidate.copy_prefix(source=0, target=1, length=2)
    candidate.begin(1, SamplingParameters(), [4, 5])
    assert torch.equal(cache[1, :, :2], cache[0, :, :2])
    assert not cache[1, :, 2:].any()


def test_what_was_launched_ahead_for_the_last_reply_says_nothing_of_the_next_one(checkpoint: Path, trt: Any) -> None:
    candidate = interpreted(checkpoint)
    cache = candidate.caches["layers.0.value_cache"]
    cache[1] = torch.nan
    candidate.begin(1, SamplingParameters(), [1])
    step = candidate.launch([Segment(1, 1, [2])], Fed(), {})
    ahead = candidate.launch([], Fed([1], [2]), {})
    assert step.read() == [None]
    candidate.begin(1, SamplingParameters(), [4, 5])
    candidate.forward([Segment(1, 0, [4, 5])])
    assert ahead.read() == [None]
    computed = cache[1].clone()
    assert computed.any()
    candidate.begin(1, SamplingParameters(), [4, 5, 6])  # the next turn goes on from what is there
    assert torch.equal(cache[1], computed)


def test_a_device_that_draws_otherwise_is_caught(checkpoint: Path, trt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = interpreted(checkpoint)
    assert "choosing" not in failed(candidate, checkpoint)
    begin = candidate._sampler.begin
    monkeypatch.setattr(
        candidate._sampler,
        "begin",
        lambda slot, parameters, prompt: begin(slot, replace(parameters, seed=parameters.seed + 1), prompt),
    )
    assert failed(candidate, checkpoint) == {"choosing"}


class Undecided(Wrong):
    """The two likeliest tokens change places, a little: the distributions stay alike."""

    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        logits = self.inner.forward(segments).clone()
        logits[:, :2] += torch.tensor([0.6, -0.6])
        return logits


class Certain(Wrong):
    """A model that is sure of its first token, by just enough."""

    def forward(self, segments: Sequence[Segment]) -> torch.Tensor:
        logits = self.inner.forward(segments).clone()
        logits[:, 1] = logits.amax(-1) + 1.1
        logits[:, 0] = logits[:, 1] - 1.05
        return logits


def test_another_likeliest_token_where_the_model_is_sure_is_refused(checkpoint: Path, trt: Any) -> None:
    sure = Certain(interpreted(checkpoint))
    rows = [Segment(0, 0, [1, 2, 3], logits=3)]
    same = Subject(sure, sure).compare([(rows, rows)])
    assert same[0]
    assert "100% of 3" in same[1]
    other = Subject(Undecided(sure), sure).compare([(rows, rows)])
    assert not other[0]
    assert "0% of 3" in other[1]


def test_a_model_that_8_bits_spoil_is_refused(tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, "Llama", {})
    weights = load_file(tmp_path / "model.safetensors")
    for name, matrix in weights.items():
        if name.endswith("up_proj.weight"):
            matrix[:, 0] *= 200.0  # one large weight in each row leaves a few steps for all others
            weights[name.replace("up_proj", "gate_proj")][:, 0] *= 200.0
        if name.endswith("post_attention_layernorm.weight"):
            matrix[0] /= 200.0
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})

    def made(precision: str) -> SlotExecutor:
        source = open_weights(tmp_path)
        return make_interpreter_executor(source, slots=4, positions=POSITIONS, precision=precision, max_chunk=64)

    assert failed(made("float16"), tmp_path) == set()
    assert "prefill" in failed(made("float16-int8"), tmp_path)
