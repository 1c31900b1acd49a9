"""A simulated GPU for runtime.py: streams that run at once, graphs that record launches, and an engine that interprets.

It knows of a launch what the real one knows: addresses and shapes. What was not set, or lies elsewhere, shows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from math import prod
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from inference.executor.interpreter_executor import InterpretingRunner
from inference.tensorrt.api import TensorRT
from inference.tensorrt.contract import Contract
from inference.tensorrt.runtime import PlanRuntime

SCRATCH_BYTES = 4096


class SimulatedGraph:
    """What was launched while it was being recorded, to be launched again."""

    recording: SimulatedGraph | None = None

    def __init__(self) -> None:
        self.launches: list[Callable[[], None]] = []

    def replay(self) -> None:
        for launch in self.launches:
            launch()


class SimulatedCuda:
    """The part of torch.cuda that runtime.py calls. `pools` are those in which graphs were recorded."""

    CUDAGraph = SimulatedGraph

    def __init__(self) -> None:
        self.pools: list[object] = []

    @staticmethod
    def Stream() -> SimpleNamespace:  # noqa: N802 - its name in torch
        return SimpleNamespace(cuda_stream=1, synchronize=lambda: None, wait_stream=lambda _stream: None)

    @staticmethod
    def stream(_stream: Any) -> Any:
        return nullcontext()

    def current_stream(self) -> SimpleNamespace:
        return self.Stream()

    @staticmethod
    def graph_pool_handle() -> object:
        return object()

    @contextmanager
    def graph(self, graph: SimulatedGraph, pool: object, _stream: Any, *, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        self.pools.append(pool)
        SimulatedGraph.recording = graph
        yield
        SimulatedGraph.recording = None


class SimulatedContext:
    """Runs the network on tensors of which it knows the addresses alone."""

    def __init__(self, runner: InterpretingRunner, tensors: Contract) -> None:
        self._runner, self._tensors = runner, tensors
        self.addresses: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        return profile in (0, 1) and stream == 1

    def set_device_memory(self, address: int, size: int) -> None:
        assert address
        assert size == SCRATCH_BYTES

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return address > 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return True

    def execute_async_v3(self, stream: int) -> bool:
        addresses, shapes = dict(self.addresses), dict(self.shapes)
        assert stream == 1
        if SimulatedGraph.recording:
            SimulatedGraph.recording.launches.append(lambda: self._run(addresses, shapes))
        else:
            self._run(addresses, shapes)
        return True

    def _run(self, addresses: dict[str, int], shapes: dict[str, tuple[int, ...]]) -> None:
        assert addresses.keys() == {spec.name for spec in (*self._tensors.inputs, *self._tensors.outputs)}
        fixed = {spec.name: spec.sized() for spec in self._tensors.weights}
        there = {
            spec.name: seen(addresses[spec.name], (shapes | fixed)[spec.name], spec.dtype)
            for spec in self._tensors.inputs
        }
        assert all(addresses[spec.name] == addresses[spec.alias] for spec in self._tensors.outputs[1:])
        logits = self._runner.run(None, there)  # type: ignore[arg-type]  # the interpreter looks at the tensors alone
        seen(addresses["logits"], tuple(logits.shape), torch.float32).copy_(logits)


def seen(address: int, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """The memory at an address, as a tensor."""
    count = prod(shape)
    memory = (ctypes.c_byte * (count * dtype.itemsize)).from_address(address)
    return torch.frombuffer(memory, dtype=dtype, count=count).view(shape)


def simulated_runtime(
    monkeypatch: pytest.MonkeyPatch, runner: InterpretingRunner, tensors: Contract
) -> tuple[PlanRuntime, SimulatedCuda]:
    """runtime.py over a plan that is interpreted."""
    cuda = SimulatedCuda()
    for name in ("CUDAGraph", "Stream", "stream", "current_stream", "graph_pool_handle", "graph"):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))
    monkeypatch.setattr(PlanRuntime, "device", torch.device("cpu"))
    engine = SimpleNamespace(
        get_device_memory_size_for_profile_v2=lambda profile: SCRATCH_BYTES // (1 + profile),
        device_memory_size_v2=SCRATCH_BYTES,
        create_execution_context=lambda _strategy: SimulatedContext(runner, tensors),
    )
    trt: Any = SimpleNamespace(
        Logger=type("Logger", (), {"WARNING": 0, "__init__": lambda _self, _severity: None}),
        Runtime=lambda _logger: SimpleNamespace(deserialize_cuda_engine=lambda plan: engine if plan else None),
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED=2),
    )
    capabilities: Any = SimpleNamespace(compiles_at_run_time=False)
    return PlanRuntime(TensorRT(trt, "simulated", "0", capabilities), b"plan", tensors), cuda
