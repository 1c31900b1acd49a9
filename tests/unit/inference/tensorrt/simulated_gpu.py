"""A simulated GPU: streams that run at once, graphs that record launches, and an engine that interprets.

It knows of a launch what the real one knows: addresses and shapes. What was not set, or lies elsewhere, shows.
"""

from __future__ import annotations

import ctypes
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from math import prod
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from inference.executor.interpreter_executor import InterpretingRunner
from inference.tensorrt import api
from inference.tensorrt.api import TensorRT
from inference.tensorrt.contract import Contract, contract
from inference.tensorrt.precision import precision_named
from inference.tensorrt.runtime import PlanRuntime
from inference.tensorrt.transfer import Transfer
from inference.weights import WeightSource

SCRATCH_BYTES = 4096


class SimulatedGraph:
    """What was launched while it was being recorded, to be launched again."""

    def __init__(self) -> None:
        self.launches: list[Callable[[], None]] = []
        self.log: list[str] = []

    def replay(self) -> None:
        self.log.append("replay")
        for launch in self.launches:
            launch()


class Capture(threading.local):
    """The graph that this thread is recording: what other threads launch meanwhile is not in it."""

    graph: SimulatedGraph | None = None


CAPTURE = Capture()


class Recording(TorchDispatchMode):
    """Has a graph do again what torch does meanwhile, with the results in the same places."""

    def __init__(self, graph: SimulatedGraph) -> None:
        super().__init__()
        self._graph = graph

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        given = function(*arguments, **(options or {}))

        def again() -> None:
            results = function(*arguments, **(options or {}))
            for place, result in zip(tensors_of(given), tensors_of(results), strict=True):
                if place.data_ptr() != result.data_ptr():
                    place.copy_(result)

        self._graph.launches.append(again)
        return given


def tensors_of(value: Any) -> list[torch.Tensor]:
    values = value if isinstance(value, tuple | list) else [value]
    return [each for each in values if isinstance(each, torch.Tensor)]


class SimulatedStream:
    """Runs everything at once; `log` tells what waits for what."""

    cuda_stream = 1

    def __init__(self, name: str, cuda: SimulatedCuda) -> None:
        self.name, self._cuda = name, cuda

    def wait_stream(self, other: SimulatedStream) -> None:
        self._cuda.log.append(f"{self.name} waits for {other.name}")

    def synchronize(self) -> None:
        self._cuda.synchronize()


class SimulatedCuda:
    """The part of torch.cuda that we call. `pools` are those in which graphs were recorded, `waits` the host's.

    `log` is the order in which plans run or are replayed, streams wait for each other and the host for them.
    """

    CUDAGraph = SimulatedGraph

    def __init__(self, *, free: int = 22_000_000_000) -> None:
        self.pools: list[object] = []
        self.log: list[str] = []
        self.capture_seconds = 0.0
        self._capturing = threading.Lock()
        self.waits = 0
        self.free, self.allocated = free, 0

    def Event(self) -> SimpleNamespace:  # noqa: N802 - its name in torch
        return SimpleNamespace(record=lambda: self.log.append("event recorded"), synchronize=self.synchronize)

    def synchronize(self) -> None:
        self.waits += 1
        self.log.append("host waits")

    def mem_get_info(self) -> tuple[int, int]:
        return self.free, 24_000_000_000

    def memory_allocated(self) -> int:
        return self.allocated

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def get_device_capability() -> tuple[int, int]:
        return 8, 9

    @staticmethod
    def get_device_name() -> str:
        return "NVIDIA L4"

    @staticmethod
    def empty_cache() -> None:
        """Nothing is kept."""

    def take_the_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of torch.cuda, until the test ends."""
        for name in dir(self):
            if not name.startswith("_") and hasattr(torch.cuda, name):
                monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        empty = torch.empty

        def unpinned(*sizes: Any, pin_memory: bool = False, **more: Any) -> torch.Tensor:
            return empty(*sizes, **more)

        monkeypatch.setattr(torch, "empty", unpinned)
        monkeypatch.setattr(torch.Tensor, "pin_memory", torch.Tensor.clone)
        monkeypatch.setattr(PlanRuntime, "device", torch.device("cpu"))
        monkeypatch.setattr(Transfer, "is_far", True)

    def Stream(self) -> SimulatedStream:  # noqa: N802 - its name in torch
        return SimulatedStream("the plan's", self)

    @staticmethod
    def stream(_stream: Any) -> Any:
        return nullcontext()

    def current_stream(self) -> SimulatedStream:
        return SimulatedStream("torch's", self)

    @staticmethod
    def graph_pool_handle() -> object:
        return object()

    @contextmanager
    def graph(self, graph: SimulatedGraph, pool: object, _stream: Any, *, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        if not self._capturing.acquire(blocking=False):
            raise RuntimeError("only one capture may be underway at a time in the process")  # as torch has it
        self.pools.append(pool)
        graph.log = self.log
        CAPTURE.graph = graph
        try:
            time.sleep(self.capture_seconds)  # so that another thread, if nothing holds it, begins one beside it
            with Recording(graph):
                yield
        finally:
            CAPTURE.graph = None
            self._capturing.release()


class SimulatedContext:
    """Runs the network on tensors of which it knows the addresses alone.

    A recorded step lives on what its context holds, which is laid out for one set of shapes: replayed after the context
    was given others, it computes something else.
    """

    def __init__(self, runner: InterpretingRunner, tensors: Contract, scratch: int, log: list[str]) -> None:
        self._runner, self._tensors, self._scratch, self._log = runner, tensors, scratch, log
        weakref.finalize(self, log.append, "context gone")
        self.addresses: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        return profile in (0, 1) and stream == 1

    def set_device_memory(self, address: int, size: int) -> None:
        assert address
        assert size == self._scratch

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return address > 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return True

    def execute_async_v3(self, stream: int) -> bool:
        addresses, shapes = dict(self.addresses), dict(self.shapes)
        assert stream == 1
        if CAPTURE.graph:
            CAPTURE.graph.launches.append(lambda: self._run(addresses, shapes, is_spoilt=self.shapes != shapes))
        else:
            self._log.append("run")
            self._run(addresses, shapes)
        return True

    def _run(self, addresses: dict[str, int], shapes: dict[str, tuple[int, ...]], *, is_spoilt: bool = False) -> None:
        assert addresses.keys() == {spec.name for spec in (*self._tensors.inputs, *self._tensors.outputs)}
        fixed = {spec.name: spec.sized() for spec in self._tensors.weights}
        there = {
            spec.name: seen(addresses[spec.name], (shapes | fixed)[spec.name], spec.dtype)
            for spec in self._tensors.inputs
        }
        assert all(addresses[spec.name] == addresses[spec.alias] for spec in self._tensors.outputs[1:])
        logits = self._runner.run(None, there)  # type: ignore[arg-type]  # the interpreter looks at the tensors alone
        seen(addresses["logits"], tuple(logits.shape), torch.float32).copy_(logits + 1 if is_spoilt else logits)


def seen(address: int, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """The memory at an address, as a tensor."""
    count = prod(shape)
    memory = (ctypes.c_byte * (count * dtype.itemsize)).from_address(address)
    return torch.frombuffer(memory, dtype=dtype, count=count).view(shape)


def simulated_runtime(
    monkeypatch: pytest.MonkeyPatch, runner: InterpretingRunner, tensors: Contract, cuda: SimulatedCuda | None = None
) -> tuple[PlanRuntime, SimulatedCuda]:
    """runtime.py over a plan that is interpreted."""
    if cuda is None:
        cuda = SimulatedCuda()
    cuda.take_the_place(monkeypatch)
    trt: Any = SimpleNamespace(
        Logger=type("Logger", (), {"WARNING": 0, "__init__": lambda _self, _severity: None}),
        Runtime=lambda _logger: SimulatedRuntime(runner, tensors, cuda.log),
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED=2),
    )
    capabilities: Any = SimpleNamespace(compiles_at_run_time=False)
    return PlanRuntime(TensorRT(trt, "simulated", "0", capabilities), b"plan", tensors, lambda _scratch: None), cuda


def simulated_machine(
    monkeypatch: pytest.MonkeyPatch, source: WeightSource, *, precision: str, positions: int, **memory: int
) -> SimulatedCuda:
    """This machine with an NVIDIA L4, as torch and TensorRT see it; plans are really built, and then interpreted.

    Of `memory`, `free` is what torch finds and `scratch` what a loaded plan asks for.
    """
    scratch = memory.pop("scratch", SCRATCH_BYTES)
    cuda = SimulatedCuda(**memory)
    cuda.take_the_place(monkeypatch)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    runner = InterpretingRunner(source, precision=precision, positions=positions)
    tensors = contract(source.config, precision_named(precision), positions=positions)
    rtx = api.load("tensorrt_rtx")
    runtime = SimulatedRuntime(runner, tensors, cuda.log, scratch=scratch)
    loaded = replace(rtx, trt=WithRuntime(rtx.trt, runtime))
    monkeypatch.setattr(api, "load", lambda *_arguments, **_options: loaded)
    return cuda


class WithRuntime:
    """NVIDIA's package but for the part that runs plans."""

    def __init__(self, trt: Any, runtime: SimulatedRuntime) -> None:
        self._trt = trt
        self.Runtime = lambda _logger: runtime

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trt, name)


class SimulatedRuntime:
    """Loads plans, and is the engine of each: they all run the one network."""

    def __init__(
        self, runner: InterpretingRunner, tensors: Contract, log: list[str], *, scratch: int = SCRATCH_BYTES
    ) -> None:
        self._runner, self._tensors, self._log, self.device_memory_size_v2 = runner, tensors, log, scratch

    def deserialize_cuda_engine(self, plan: bytes) -> SimulatedRuntime | None:
        return self if plan else None

    def get_device_memory_size_for_profile_v2(self, profile: int) -> int:
        return self.device_memory_size_v2 // (1 + profile)

    def create_runtime_config(self) -> SimpleNamespace:
        return SimpleNamespace(set_execution_context_allocation_strategy=lambda _strategy: None)

    def create_execution_context(self, _strategy: Any) -> SimulatedContext:
        return SimulatedContext(self._runner, self._tensors, self.device_memory_size_v2, self._log)
