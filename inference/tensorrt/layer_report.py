"""What the compiler made of a network, read from its verbose log: kernels, memory, inputs and outputs.

The log holds the same lines as NVIDIA's engine inspector, which wants a GPU; so this can be checked without one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

FP8_PRODUCT = re.compile(
    r"^Name: .+?_myl(?P<profile>\d+)_\d+, LayerType: (?:gemm|runtime_fusion), "
    r"Inputs: \[ (?:\{[^}]*\}, )*?\{[^}]*Datatype: FP8[^}]*\}, \{[^}]*Datatype: FP8",
    re.MULTILINE,
)
"""A product of which both sides are FP8."""
INT4_PRODUCT = re.compile(
    r"^Name: .+?_myl(?P<profile>\d+)_\d+, LayerType: (?:gemm|runtime_fusion), .*?Constants: \[.*?Datatype: Int4",
    re.MULTILINE,
)
"""A product that reads weights of 4 bits itself."""
LAYER = re.compile(r"^Name: (?P<name>.+?), LayerType: (?P<type>\w+),", re.MULTILINE)
LAYER_LINE = re.compile(r"^Name: \S+?_myl(?P<profile>\d+)_\d+, LayerType: (?P<tensors>.*)$", re.MULTILINE)
TENSOR_OF_LAYER = re.compile(r"\{ Name: ([^,\s]+)")
TENSOR = re.compile(
    r"Name: (?P<name>\S+), IOMode: (?P<mode>Input|Output), DataType: (?P<dtype>\w+), Dimensions: \[(?P<shape>[-\d,]*)\]"
)
PROFILE = re.compile(r"_myl(\d+)_\d+$")
ACTIVATIONS = re.compile(r"Total Activation Memory: (\d+) bytes")
ATTENTION_KERNELS = ("_gemv_mha", "_gemm_mha")
"""Of decode and of prefill."""
PROFILES = 2
NOT_KERNELS = ("shape_call", "copy", "signal", "wait")
PRODUCTS = ("gemm", "runtime_fusion")
"""A matrix product alone, and one with what follows it. Both are one kernel."""


@dataclass(frozen=True)
class TensorLine:
    """An input or output as the compiler saw it."""

    name: str
    mode: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ProfileReport:
    """One profile's kernels. `scratch_bytes` is what its activations need, beside weights and cache."""

    kernels: int
    attention: int
    products: int
    scratch_bytes: int
    fp8_products: int = 0
    int4_products: int = 0


@dataclass(frozen=True)
class LayerReport:
    """All of a build. `errors` and `unused` are empty for a plan that may be used."""

    profiles: tuple[ProfileReport, ...]
    tensors: tuple[TensorLine, ...]
    errors: tuple[str, ...]
    unused: tuple[str, ...]
    in_place: tuple[str, ...] = ()
    """Outputs that a kernel of every profile reads where it writes them: a cache that is not copied."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def mistakes(self) -> list[str]:
        """What no plan may have, whichever package built it."""
        return [*self.errors, *self.unused]

    def problems(self, layers: int, *, weights: str = "") -> list[str]:
        """What is wrong with the plan of a decoder of so many layers, in words; nothing for a good one.

        `weights` is how matrices are stored, as in Precision. Kernels are known by the names that tensorrt-rtx gives.
        """
        found = self.mistakes
        if len(self.profiles) != PROFILES:  # a log that is written otherwise would pass for one without faults
            found.append(f"the compiler's log tells of {len(self.profiles)} profiles instead of {PROFILES}")
        if len(self.in_place) != 2 * layers:
            found.append(f"{len(self.in_place)} of {2 * layers} caches are updated in place")
        expected = products_of(layers, weights)
        for index, profile in enumerate(self.profiles):
            if profile.attention != layers:
                found.append(f"profile {index}: attention is fused in {profile.attention} of {layers} layers")
            if profile.products != expected:
                found.append(f"profile {index}: {profile.products} matrix products instead of {expected}")
            if weights == "int4" and profile.int4_products != 4 * layers:
                found.append(f"profile {index}: {profile.int4_products} of {4 * layers} products read 4 bits")
            if weights == "fp8" and profile.fp8_products != 4 * layers:
                found.append(f"profile {index}: {profile.fp8_products} of {4 * layers} products are FP8")
        return found


def products_of(layers: int, weights: str) -> int:
    """Four products a layer (q/k/v, output, gate/up, down) and the head; offsets of 4-bit weights are one more each."""
    return (8 if weights == "int4" else 4) * layers + 1


def read(lines: Sequence[tuple[str, str]]) -> LayerReport:
    """The report of a build from its log: pairs of severity (`ERROR`, ...) and text."""
    layers = [match for _, text in lines for match in LAYER.finditer(text)]
    tensors = {match["name"]: _tensor(match) for _, text in lines for match in TENSOR.finditer(text)}
    in_fp8, in_int4 = (
        [int(match["profile"]) for _, text in lines for match in kind.finditer(text)]
        for kind in (FP8_PRODUCT, INT4_PRODUCT)
    )
    scratch = [int(number) for _, text in lines for number in ACTIVATIONS.findall(text)]
    return LayerReport(
        profiles=tuple(
            _profile(layers, index, size, in_fp8=in_fp8.count(index), in_int4=in_int4.count(index))
            for index, size in enumerate(scratch)
        ),
        tensors=tuple(sorted(tensors.values(), key=lambda line: line.name)),
        errors=tuple(text for severity, text in lines if severity in ("ERROR", "INTERNAL_ERROR")),
        unused=tuple(text for _, text in lines if "Unused Input" in text),
        in_place=_in_place(lines, [line.name for line in tensors.values() if line.mode == "Output"]),
    )


def _in_place(lines: Sequence[tuple[str, str]], outputs: Iterable[str]) -> tuple[str, ...]:
    found: list[set[str]] = [set() for _ in range(PROFILES)]
    for _, text in lines:
        for layer in LAYER_LINE.finditer(text):
            taken, _, given = layer["tensors"].partition("Outputs: [")
            both = {*TENSOR_OF_LAYER.findall(taken)} & {*TENSOR_OF_LAYER.findall(given)}
            found[min(int(layer["profile"]), PROFILES - 1)] |= both
    return tuple(sorted(set.intersection(*found).intersection(outputs)))


def _tensor(match: re.Match[str]) -> TensorLine:
    shape = tuple(int(size) for size in match["shape"].split(",") if size)
    return TensorLine(match["name"], match["mode"], match["dtype"], shape)


def _profile(
    layers: Iterable[re.Match[str]], index: int, scratch_bytes: int, *, in_fp8: int, in_int4: int
) -> ProfileReport:
    own = [layer for layer in layers if (found := PROFILE.search(layer["name"])) and int(found[1]) == index]
    kernels = [layer for layer in own if layer["type"] not in NOT_KERNELS]
    return ProfileReport(
        kernels=len(kernels),
        attention=sum(any(kernel in layer["name"] for kernel in ATTENTION_KERNELS) for layer in kernels),
        products=sum(layer["type"] in PRODUCTS for layer in kernels),
        scratch_bytes=scratch_bytes,
        fp8_products=in_fp8,
        int4_products=in_int4,
    )
