"""Runs a TensorRT network on the CPU, in torch, layer by layer: the very object that goes to the builder.

It follows the documented meaning of each layer, so it proves what we wrote, not what NVIDIA's kernels compute.
A layer it does not know is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from inference.tensorrt import semantics
from inference.tensorrt.four_bits import unpacked

Values = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Step:
    """One layer: what computes it, and the names of what it reads and gives. An absent optional input is ''."""

    compute: Callable[..., torch.Tensor]
    layer: Any
    inputs: tuple[str, ...]
    output: str


class Interpreter:
    """One network, ready to run. The network and its writer must stay alive as long.

    `four_bits` holds the constants of 4 bits as the writer packed them: a network does not give those back.
    """

    def __init__(self, trt: Any, network: Any, four_bits: Mapping[str, torch.Tensor] | None = None) -> None:
        self._operations = semantics.Operations(trt)
        self._four_bits = four_bits or {}
        self._constants: Values = {}
        self._steps: list[Step] = []
        self.outputs = [network.get_output(index).name for index in range(network.num_outputs)]
        for index in range(network.num_layers):
            self._read(trt, network.get_layer(index))
        self._last_use = self._find_last_uses()

    def run(self, inputs: Values) -> Values:
        """The outputs for `inputs`, by name. Caches among them are changed in place, as TensorRT does."""
        values = {**self._constants, **inputs}
        for index, step in enumerate(self._steps):
            arguments = [values[name] if name else None for name in step.inputs]
            values[step.output] = step.compute(step.layer, *arguments)
            for name in self._last_use.get(index, ()):
                values.pop(name, None)
        return {name: values[name] for name in self.outputs}

    def _read(self, trt: Any, layer: Any) -> None:
        """Turn one layer into a step. Network getters give the base class; the real one holds the attributes."""
        kind = layer.type.name
        if kind == "ATTENTION_INPUT":
            return  # the attention is one thing to us; its output layer leads to it
        if kind not in semantics.CLASSES:
            raise semantics.UnknownLayerError(f"{layer.name}: layers of kind {kind} have no meaning written down")
        layer.__class__ = getattr(trt, semantics.CLASSES[kind])
        output = layer.get_output(0).name
        if kind == "CONSTANT":
            if output in self._four_bits:
                self._constants[output] = unpacked(self._four_bits[output])
                return
            self._constants[output] = torch.from_numpy(np.array(layer.weights)).reshape(tuple(layer.shape))
            return
        subject = layer
        if kind == "ATTENTION_OUTPUT":
            subject = layer.attention
            inputs = [*(subject.get_input(index) for index in range(3)), subject.key_value_lengths]
        else:
            inputs = [subject.get_input(index) for index in range(subject.num_inputs)]
        names = tuple("" if tensor is None else tensor.name for tensor in inputs)
        self._steps.append(Step(self._operations.named(kind), subject, names, output))

    def _find_last_uses(self) -> dict[int, list[str]]:
        """What can be forgotten after each step: a long prompt would otherwise keep every layer's activations."""
        kept = {*self.outputs, *self._constants}
        seen: set[str] = set()
        uses: dict[int, list[str]] = {}
        for index in reversed(range(len(self._steps))):
            for name in (*self._steps[index].inputs, self._steps[index].output):
                if name and name not in seen and name not in kept:
                    seen.add(name)
                    uses.setdefault(index, []).append(name)
        return uses
