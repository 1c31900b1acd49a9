"""Runs a plan with NVIDIA's runtime.

Which memory every tensor takes is settled in bindings.py and slot_executor.py; here is only what calls the runtime.
The short form of `python -m inference gpu-check` compares it with the torch model before the service turns ready.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch

from inference.errors import InferenceError
from inference.slot_sampler import Choices
from inference.tensorrt.api import TensorRT, require
from inference.tensorrt.bindings import Launch
from inference.tensorrt.contract import Contract
from inference.tensorrt.device import GPU
from inference.tensorrt.profiles import DECODE, PREFILL
from inference.tensorrt.slot_executor import Tensors

EVERY_SIZE = 0
RECORDING = threading.Lock()
"""torch takes one recording at a time in a process, and a model may be loaded while another one works."""
RequireMemory = Callable[[int], None]
"""Raises InferenceError when there are not so many bytes of scratch beside all else."""


class PlanRuntime:
    """Runs launches of one plan on one GPU. Decode steps are recorded as CUDA graphs, one for each batch size.

    HAS NEVER RUN ON A GPU.
    """

    device = GPU

    def __init__(self, tensorrt: TensorRT, plan: bytes, tensors: Contract, require_memory: RequireMemory) -> None:
        self._tensorrt, self._tensors = tensorrt, tensors
        self.uses_graphs = True
        self._logger = tensorrt.trt.Logger(tensorrt.trt.Logger.WARNING)
        self._runtime = tensorrt.trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise InferenceError("NVIDIA's runtime cannot load the plan: another GPU, driver or version? Prune it.")
        sizes = map(self._engine.get_device_memory_size_for_profile_v2, (DECODE, PREFILL))
        size = max(*sizes, self._engine.device_memory_size_v2)
        require_memory(size)
        self._scratch = torch.empty(size, dtype=torch.uint8, device=self.device)
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._contexts: dict[tuple[int, int], Any] = {}
        self._graphs: dict[Hashable, tuple[Any, Any]] = {}
        self.forget()

    def _context(self, launch: Launch) -> Any:
        """One for each recorded size, as NVIDIA asks for, and one a profile for all else. They share the scratch."""
        key = launch.profile, launch.rows if self.uses_graphs and launch.profile == DECODE else EVERY_SIZE
        if key not in self._contexts:
            context = self._tensorrt.create_context(self._engine, is_recorded=launch.profile == DECODE)
            is_set = context.set_optimization_profile_async(launch.profile, self._stream.cuda_stream)
            require(is_set, f"profile {launch.profile}")
            self._stream.synchronize()
            context.set_device_memory(self._scratch.data_ptr(), self._scratch.numel())
            self._contexts[key] = context
        return self._contexts[key]

    def run(self, launch: Launch, tensors: Tensors) -> torch.Tensor:
        key = launch.rows if launch.profile == DECODE else None
        return self._on_stream(key, lambda: self._enqueue(launch, tensors))  # type: ignore[no-any-return]

    def choose(self, key: Hashable, function: Callable[[], Choices]) -> Choices:
        return self._on_stream(key, function)  # type: ignore[no-any-return]

    def _on_stream(self, key: Hashable, function: Callable[[], Any]) -> Any:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = self._replayed(key, function) if self.uses_graphs and key is not None else function()
        torch.cuda.current_stream().wait_stream(self._stream)
        return result

    def _replayed(self, key: Hashable, function: Callable[[], Any]) -> Any:
        if key not in self._graphs:
            # The first run compiles kernels and cannot be recorded. The second writes the same to the same places.
            function()
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            # Other threads may load another model meanwhile: what they ask of CUDA must not void the recording.
            with RECORDING, torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                result = function()
            self._graphs[key] = graph, result
        self._graphs[key][0].replay()
        return self._graphs[key][1]

    def _enqueue(self, launch: Launch, tensors: Tensors) -> torch.Tensor:
        context = self._context(launch)
        output = self._tensors.outputs[0]
        logits = torch.empty(output.sized(**launch.sizes), dtype=output.dtype, device=self.device)
        for name, address in _addresses(self._tensors, {**tensors, output.name: logits}):
            require(context.set_tensor_address(name, address), f"the address of {name}")
        for spec in (*self._tensors.step, *self._tensors.caches):
            shape = tuple(tensors[spec.name].shape)
            require(context.set_input_shape(spec.name, shape), f"the shape {shape} of {spec.name}")
        require(context.execute_async_v3(self._stream.cuda_stream), "to run the step")
        return logits

    def forget(self) -> None:
        self._stream.synchronize()  # a step that nobody read may still run
        self._graphs.clear()
        self._pool = torch.cuda.graph_pool_handle()  # one for all graphs, and gone with the last of them

    def close(self) -> None:
        self.forget()
        self._contexts, self._engine, self._scratch = {}, None, torch.empty(0)


def _addresses(contract: Contract, tensors: Tensors) -> Iterator[tuple[str, int]]:
    """Where each tensor of the plan lies; a cache's update lies where the cache does."""
    yield from ((name, tensor.data_ptr()) for name, tensor in tensors.items())
    yield from ((spec.name, tensors[spec.alias].data_ptr()) for spec in contract.outputs[1:])
