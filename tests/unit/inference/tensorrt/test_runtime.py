"""What can be said without a GPU of the part that needs one: on a simulated one it gives what the network gives.

That proves its Python: addresses, shapes, what is recorded when. It says nothing of NVIDIA's runtime.
"""

from __future__ import annotations

import ast
import gc
import io
import re
import tokenize
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import inference
from inference.errors import InferenceError
from inference.executor.base import NOBODY_FED, Fed, Segment
from inference.executor.interpreter_executor import InterpretingRunner, make_interpreter_executor
from inference.sampling import SamplingParameters
from inference.slot_sampler import Choices, Needs, SlotSampler
from inference.tensorrt.bindings import Launch
from inference.tensorrt.contract import contract
from inference.tensorrt.precision import precision_named
from inference.tensorrt.profiles import Limits
from inference.tensorrt.slot_executor import SlotExecutor
from inference.tensorrt.transfer import Arrival, Transfer
from inference.weights import open_weights
from tests.unit.inference.tensorrt.simulated_gpu import SimulatedContext, SimulatedCuda, simulated_runtime
from tests.unit.inference.test_model_agreement import save_random_checkpoint

CODE = Path(inference.__file__).parent
MARK = "HAS NEVER RUN ON A GPU"
CALLS = re.compile(
    r"torch\.cuda\.(Stream|Event|CUDAGraph|graph|stream|current_stream|synchronize)\b|\.synchronize\(|pin_memory"
    r"|create_execution_context\(|deserialize_cuda_engine|set_tensor_address|set_device_memory|execute_async"
)
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
NOT_RECORDABLE = {"aten._local_scalar_dense.default", "aten.nonzero.default", "aten.masked_select.default"}
"""The host would have to wait for what they give."""


class Watching(TorchDispatchMode):
    """Notes every operation, and the devices of what it takes and gives."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, set[str]]] = []
        self.waits: list[str] = []
        """Copies between host and device that are not in passing, and what the host would have to wait for."""

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, arguments: Sequence[Any] = (), options: Any = None
    ) -> Any:
        given = function(*arguments, **(options or {}))
        every = [*arguments, *(options or {}).values(), *(given if isinstance(given, tuple) else [given])]
        devices = {value.device.type for value in every if isinstance(value, torch.Tensor)}
        self.seen.append((str(function), devices))
        waits = {"cpu", "meta"} <= devices and not ((options or {}).get("non_blocking") or arguments[-1] is True)
        if waits or (str(function) in NOT_RECORDABLE and "meta" in devices):
            self.waits.append(str(function))
        return given


def unproven(path: Path) -> set[int]:
    """The lines of code in what says of itself that it has never run on a GPU: no docstrings, comments, empty lines."""
    text = path.read_text()
    code = {line for token in tokenize.generate_tokens(io.StringIO(text).readline) for line in code_lines(token)}
    marked: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and MARK in (ast.get_docstring(node) or ""):
            marked.update(code.intersection(range(node.lineno, (node.end_lineno or 0) + 1)))
    return marked


def code_lines(token: tokenize.TokenInfo) -> range:
    is_prose = token.type in NOT_CODE or (token.type == tokenize.STRING and token.line.lstrip().startswith('"""'))
    return range(0) if is_prose else range(token.start[0], token.end[0] + 1)


def test_what_has_never_run_on_a_gpu_stays_under_100_lines_wherever_it_is() -> None:
    found = {path.relative_to(CODE).as_posix(): len(lines) for path in CODE.rglob("*.py") if (lines := unproven(path))}
    assert {*found} == {f"tensorrt/{name}.py" for name in ("api", "check_command", "runtime", "transfer")}
    assert sum(found.values()) < 100, found


def test_whatever_gives_a_gpu_work_says_that_it_has_never_run_there() -> None:
    """Elsewhere torch.cuda and NVIDIA's engine are asked questions at most."""
    for path in CODE.rglob("*.py"):
        lines = path.read_text().splitlines()
        calling = {number for number, line in enumerate(lines, start=1) if CALLS.search(line)}
        assert calling <= unproven(path), path


def on_a_simulated_gpu(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cuda: SimulatedCuda | None = None
) -> tuple[SlotExecutor, SlotExecutor, SimulatedCuda]:
    """An interpreted network, the same through runtime.py, and the simulated GPU that this runs on."""
    save_random_checkpoint(folder, "Llama", {})
    source = open_weights(folder)
    interpreted = make_interpreter_executor(source, slots=4, positions=60, precision="float32", max_chunk=8)
    runner = InterpretingRunner(source, precision="float32", positions=60)
    gpu, cuda = simulated_runtime(monkeypatch, runner, interpreted.contract, cuda)
    limits = Limits(max_batch=4, max_chunk=8, positions=60)
    weights = dict(interpreted.weights)
    return interpreted, SlotExecutor(gpu, interpreted.contract, weights, limits=limits, precision="float32"), cuda


def test_on_a_simulated_gpu_it_runs_records_replays_and_swaps_as_the_interpreter_does(
    tmp_path: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, simulated, cuda = on_a_simulated_gpu(tmp_path, monkeypatch)

    def both(*segments: Segment) -> None:
        torch.testing.assert_close(simulated.forward(segments), expected.forward(segments))

    both(Segment(0, 0, list(range(1, 20))), Segment(2, 0, [5, 6, 7]))
    for step in range(4):  # the first is run and recorded, the others replayed, over slots that only grow
        both(Segment(0, 19 + step, [step]), Segment(2, 3 + step, [9 - step]))
    both(Segment(0, 23, [1]))
    assert len(cuda.pools) == 2  # for four rows, and for one
    swapped = {name: weight * 2 if name == "norm" else weight.clone() for name, weight in expected.weights.items()}
    expected.swap_weights(swapped)
    simulated.swap_weights({name: weight.clone() for name, weight in swapped.items()})
    both(Segment(0, 24, [2]), Segment(2, 7, [3]))
    both(Segment(0, 25, [4]), Segment(2, 8, [5]))
    first, second, after = cuda.pools
    assert first is second  # graphs share their memory
    assert after is not first  # which went with the last of them: torch takes no recording into what is gone
    with simulated.without_graphs():
        both(Segment(0, 26, [6]), Segment(2, 9, [7]))
    simulated.close()


def test_a_recorded_step_is_right_after_steps_of_all_other_sizes(
    tmp_path: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has an execution context of its own, as NVIDIA asks for."""
    expected, simulated, cuda = on_a_simulated_gpu(tmp_path, monkeypatch)
    for round_ in range(3):  # recorded, and replayed twice
        for slot in (3, 0, 1, 3):
            step = [Segment(slot, round_, [1 + slot])]
            torch.testing.assert_close(simulated.forward(step), expected.forward(step))
            with simulated.without_graphs():
                torch.testing.assert_close(simulated.forward(step), expected.forward(step))
    assert len(cuda.pools) == 3


def test_two_models_record_one_after_the_other(tmp_path: Path, trt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is loaded while another works, and torch takes one recording at a time in a process."""
    cuda = SimulatedCuda()
    made = [on_a_simulated_gpu(tmp_path, monkeypatch, cuda)[1] for _ in range(2)]
    cuda.capture_seconds = 0.1
    with ThreadPoolExecutor(2) as threads:
        for _ in threads.map(lambda executor: executor.forward([Segment(0, 0, [1])]), made):
            pass
    assert len(cuda.pools) == 2


def test_streams_wait_for_each_other_around_every_step_and_the_host_where_it_reads(
    tmp_path: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan's stream for the step's numbers, torch's for the logits and tokens, the host for both."""
    _, executor, cuda = on_a_simulated_gpu(tmp_path, monkeypatch)
    executor.begin(0, SamplingParameters(), [1])
    executor.launch([Segment(0, 0, [1])], NOBODY_FED, {}).read()
    cuda.log.clear()
    replayed = ["the plan's waits for torch's", "replay", "torch's waits for the plan's"]
    launched = executor.launch([], Fed([0], [1]), {})
    assert cuda.log == [*replayed, *replayed, "event recorded"]  # the step's logits, and what is drawn from them
    launched.read()
    assert cuda.log[-1] == "host waits"
    cuda.log.clear()
    executor.forward([Segment(0, 0, [1, 2])])
    assert cuda.log.count("run") == 1
    assert (cuda.log[0], cuda.log[-1]) == ("the plan's waits for torch's", "torch's waits for the plan's")


@pytest.mark.parametrize("ending", ["close", "swap"])
def test_what_a_step_may_still_run_on_goes_when_it_is_through(
    ending: str, tmp_path: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step ahead that nobody will read is on its way when an engine stops, or weights are swapped."""
    _, executor, cuda = on_a_simulated_gpu(tmp_path, monkeypatch)
    executor.begin(0, SamplingParameters(), [1])
    executor.launch([Segment(0, 0, [1])], NOBODY_FED, {}).read()
    executor.launch([], Fed([0], [1]), {})
    graphs = [weakref.finalize(graph, cuda.log.append, "graph gone") for graph, _ in executor._runner._graphs.values()]
    cuda.log.clear()
    if ending == "swap":
        executor.swap_weights(dict(executor.weights))
    else:
        executor.close()
    del executor
    gc.collect()
    assert cuda.log[0] == "host waits"
    assert cuda.log.count("graph gone") == len(graphs) == 2
    assert "context gone" in cuda.log


def test_a_plan_that_cannot_be_loaded_and_a_step_that_is_refused_say_so(
    tmp_path: Path, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_random_checkpoint(tmp_path, "Llama", {})
    source = open_weights(tmp_path)
    expected = make_interpreter_executor(source, slots=2, positions=60, precision="float32", max_chunk=8)
    runner = InterpretingRunner(source, precision="float32", positions=60)
    simulated, _ = simulated_runtime(monkeypatch, runner, expected.contract)
    executor = SlotExecutor(
        simulated, expected.contract, expected.weights, limits=Limits(2, 8, 60), precision="float32"
    )
    monkeypatch.setattr(SimulatedContext, "execute_async_v3", lambda *_arguments: False)
    with pytest.raises(InferenceError, match="refused to run the step"):
        executor.forward([Segment(0, 0, [1])])
    monkeypatch.setattr(SimulatedContext, "set_optimization_profile_async", lambda *_arguments: False)
    with pytest.raises(InferenceError, match="refused profile 1"):
        executor.forward([Segment(0, 0, [1, 2])])


def test_choosing_tokens_never_leaves_the_device_so_that_it_can_be_recorded() -> None:
    """A copy to or from the host, or a wait for it, makes a recording fail."""
    device = torch.device("meta")  # has shapes and no numbers: whatever asks for one fails
    sampler = SlotSampler(slots=4, vocabulary=50, device=device, upload=lambda tensor: tensor.to(device))
    every = SamplingParameters(
        temperature=0.8,
        top_k=5,
        top_p=0.9,
        min_p=0.1,
        repetition_penalty=1.2,
        frequency_penalty=0.1,
        logit_bias={3: 1.0},
    )
    sampler.begin(0, every, [1, 2])
    logits, lengths = torch.zeros(4, 50, device=device), torch.zeros(4, dtype=torch.int32, device=device)
    with torch.inference_mode(), Watching() as watching:
        sampler.choose(logits, 0, lengths, Needs(draws=True, filters=True, penalties=True, biases=True, logprobs=True))
    assert len(watching.seen) > 50
    assert [name for name, devices in watching.seen if devices != {"meta"} or name in NOT_RECORDABLE] == []


class Absent:
    """Runs plans on a device that has shapes and no numbers: whatever asks for one fails."""

    device = torch.device("meta")
    uses_graphs = False

    def run(self, launch: Launch, _tensors: Any) -> torch.Tensor:
        return torch.empty(len(launch.logit_indices), 97, device=self.device)

    def choose(self, _key: Any, function: Callable[[], Choices]) -> Choices:
        return function()

    def forget(self) -> None: ...

    def close(self) -> None: ...


def test_launching_a_step_never_waits_for_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for numbers from there nor until numbers have arrived there; only reading the step does."""
    save_random_checkpoint(tmp_path, "Llama", {})
    config = open_weights(tmp_path).config
    tensors = contract(config, precision_named("float16"), positions=60)
    weights = {spec.name: torch.empty(spec.sized(), dtype=spec.dtype, device="meta") for spec in tensors.weights}
    monkeypatch.setattr(torch.Tensor, "pin_memory", torch.Tensor.clone)
    monkeypatch.setattr(Transfer, "back", lambda _transfer, given: Arrival(given))
    executor = SlotExecutor(Absent(), tensors, weights, limits=Limits(4, 8, 60), precision="float16")
    every = SamplingParameters(
        temperature=0.8, top_p=0.9, repetition_penalty=1.2, frequency_penalty=0.1, logit_bias={3: 1.0}, logprobs=2
    )
    for slot in range(4):
        executor.begin(slot, every if slot == 2 else SamplingParameters(), [1, 2])
    mask = np.ones(97, dtype=np.bool_)
    with Watching() as watching:
        executor.launch([Segment(slot, 0, list(range(20))) for slot in range(4)], NOBODY_FED, {})
        executor.launch([], Fed([0, 1, 2, 3], [20] * 4), {})
        executor.launch_next()
        executor.launch([Segment(1, 22, [5])], Fed([0, 2], [22, 22]), {1: mask})
    assert len(watching.seen) > 100
    assert watching.waits == []
