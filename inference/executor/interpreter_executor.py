"""The executor that runs the TensorRT network on a CPU: slow, and the proof of everything but NVIDIA's kernels."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch

from inference.slot_sampler import Choices
from inference.tensorrt import api
from inference.tensorrt.bindings import Launch
from inference.tensorrt.contract import contract
from inference.tensorrt.graph import define
from inference.tensorrt.interpreter import Interpreter
from inference.tensorrt.precision import precision_named
from inference.tensorrt.profiles import Limits
from inference.tensorrt.slot_executor import SlotExecutor, Tensors
from inference.tensorrt.weight_set import load_constants, load_weight_set
from inference.weights import WeightSource


class InterpretingRunner:
    """Runs launches through the interpreter of a network that was written for the builder."""

    device = torch.device("cpu")
    uses_graphs = False

    def __init__(self, source: WeightSource, *, precision: str, positions: int) -> None:
        trt = api.load().trt
        self._builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
        self._network = self._builder.create_network(0)
        kind = precision_named(precision)
        constants = load_constants(source, contract(source.config, kind, positions=positions))
        self._writer = define(trt, self._network, source.config, kind, positions=positions, constants=constants)
        self._interpreter = Interpreter(trt, self._network, self._writer.four_bits)

    def run(self, launch: Launch, tensors: Tensors) -> torch.Tensor:
        return self._interpreter.run(tensors)["logits"]

    def choose(self, key: Hashable, function: Callable[[], Choices]) -> Choices:
        return function()

    def forget(self) -> None:
        """Nothing is recorded."""

    def close(self) -> None:
        """The network goes with the runner."""


def make_interpreter_executor(
    source: WeightSource, *, slots: int, positions: int, precision: str, max_chunk: int
) -> SlotExecutor:
    """An executor over `source` as TensorRT would run it. Raises InferenceError."""
    runner = InterpretingRunner(source, precision=precision, positions=positions)
    tensors = contract(source.config, precision_named(precision), positions=positions)
    return SlotExecutor(
        runner,
        tensors,
        load_weight_set(source, tensors),
        limits=Limits(max_batch=slots, max_chunk=max_chunk, positions=positions),
        precision=f"{precision}-interpreted",
    )
