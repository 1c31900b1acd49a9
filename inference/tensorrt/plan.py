"""Building a plan: the compiled network, good for every checkpoint of one architecture on one kind of GPU."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from inference.config import ModelConfig
from inference.errors import InferenceError
from inference.tensorrt import layer_report
from inference.tensorrt.api import TensorRT
from inference.tensorrt.build_log import Progress, make_logger, make_monitor
from inference.tensorrt.contract import contract
from inference.tensorrt.device import Machine
from inference.tensorrt.graph import define
from inference.tensorrt.layer_report import LayerReport
from inference.tensorrt.precision import precision_named
from inference.tensorrt.profiles import Limits, add_profiles
from inference.tensorrt.weight_set import load_constants
from inference.weights import WeightSource

WRITTEN_BY = ("graph.py", "layers.py", "contract.py", "profiles.py", "precision.py", "four_bits.py", "plan.py")
OLDEST_BFLOAT16 = 80
OLDEST_FP8 = 89


@cache
def graph_version(folder: Path = Path(__file__).parent) -> str:
    """A name for how networks are written: a plan of an older Parley is not taken for one of this."""
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in WRITTEN_BY)).hexdigest()[:12]


class PlanError(InferenceError):
    """The plan cannot be built as asked; the message says why."""


@dataclass(frozen=True)
class PlanRequest:
    """All that a plan depends on, but for the package that builds it.

    `target` is a compute capability, or None where the package builds for the GPU at hand alone, whose name is `gpu`;
    `capability` is that of the GPU at hand, and says what cannot be built for it.

    `source` is the checkpoint, which a precision whose plan holds weights itself takes, and others do not look at.
    """

    config: ModelConfig
    precision: str
    limits: Limits
    target: int | None = None
    source: WeightSource | None = field(default=None, compare=False)
    gpu: str = ""
    capability: int = field(default=0, compare=False)

    @property
    def held(self) -> WeightSource | None:
        """The checkpoint that the plan will hold. Raises PlanError when there should be one and is none."""
        if not precision_named(self.precision).holds_the_checkpoint:
            return None
        if self.source is None:
            raise PlanError(f"A plan of {self.precision} holds weights: it takes a whole checkpoint, not config.json.")
        return self.source

    def describe(self, tensorrt: TensorRT) -> dict[str, Any]:
        """The inputs of the build as JSON: what a plan is cached under, and what `--list` shows."""
        shape = asdict(replace(self.config, end_tokens=()))
        # Angles, and whether the head is tied, are matters of the weights.
        for name in ("rope_base", "rope_scaling", "tied_head", "window"):
            del shape[name]
        return {
            "graph": graph_version(),
            "package": tensorrt.name,
            "version": tensorrt.version,
            "target": self.target,
            **({"gpu": self.gpu} if self.gpu else {}),
            "precision": self.precision,
            "limits": asdict(self.limits),
            "model": shape,
            **({"checkpoint": self.held.fingerprint()} if self.held else {}),
        }

    def key(self, tensorrt: TensorRT) -> str:
        """A name for the build's inputs. Two builds of one request differ in their bytes, so plans have none."""
        text = json.dumps(self.describe(tensorrt), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class BuiltPlan:
    """A plan's bytes, what the compiler said about them, and the seconds it took."""

    content: bytes
    report: LayerReport
    seconds: float


def check_request(request: PlanRequest, tensorrt: TensorRT) -> None:
    """Raises PlanError for what cannot be built, before anything is tried."""
    targets = tensorrt.capabilities.targets
    if precision_named(request.precision).is_for_checking_only:
        raise PlanError("TensorRT has no fused attention in float32; choose float16 or bfloat16.")
    if request.target is not None and not tensorrt.capabilities.builds_for_other_gpus:
        raise PlanError(
            "The package `tensorrt` builds only on the GPU that will run the plan: leave --sm out, there. "
            "`.venv/bin/pip install '.[tensorrt-rtx]'` builds for other GPUs."
        )
    if request.target is not None and request.target not in targets:
        raise PlanError(
            f"{tensorrt.name} {tensorrt.version} builds for SM {', '.join(map(str, targets))}, not {request.target}. "
            "Hopper and data-centre Blackwell (SM 90, 100) take `.venv/bin/pip install '.[tensorrt]'`, on that GPU."
        )
    capability = request.target or request.capability
    if request.precision.startswith("bfloat16") and 0 < capability < OLDEST_BFLOAT16:
        raise PlanError(f"SM {capability} has no bfloat16; choose float16.")
    if precision_named(request.precision).weights == "fp8" and 0 < capability < OLDEST_FP8:
        raise PlanError(f"SM {capability} has no FP8, which starts at SM {OLDEST_FP8}; choose -int8 instead.")


def check_limits(request: PlanRequest) -> None:
    """Raises PlanError for sizes that no service would ask for."""
    window, positions = request.config.window, request.limits.positions
    if positions > window:
        raise PlanError(f"The model's window is {window} tokens; a plan for sequences of {positions} is of no use.")


def target_at_hand(tensorrt: TensorRT, machine: Machine) -> tuple[int | None, str]:
    """`target` and `gpu` of a request for this machine: what the service asks for. Raises PlanError without a GPU."""
    if machine.no_gpu:
        raise PlanError(f"There is no GPU here to build for ({machine.no_gpu}): name one by --sm, 89 for an L4.")
    if tensorrt.capabilities.builds_for_other_gpus:
        return machine.capability, ""
    return None, machine.gpu


def build_plan(request: PlanRequest, tensorrt: TensorRT, progress: Progress | None = None) -> BuiltPlan:
    """Compile the network. Raises PlanError when the compiler fails or its result would be slow or wrong."""
    check_request(request, tensorrt)
    began = time.monotonic()
    trt, lines = tensorrt.trt, list[tuple[str, str]]()
    logger = make_logger(trt, lines)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    monitor = make_monitor(trt, progress) if progress else None
    if monitor:
        config.progress_monitor = monitor
    tensorrt.set_target(config, request.target)
    tensorrt.require_user_allocation(config)
    precision, limits = precision_named(request.precision), request.limits
    check_limits(request)
    tensors = contract(request.config, precision, positions=limits.positions)
    constants = load_constants(request.held, tensors) if request.held else {}
    writer = define(trt, network, request.config, precision, positions=limits.positions, constants=constants)
    try:
        add_profiles(builder, config, tensors, limits)
    except (RuntimeError, TypeError) as error:  # sizes that NVIDIA's integers do not hold, for one
        raise PlanError(f"TensorRT refused the sizes that the plan is to be for: {error}") from error
    serialised = builder.build_serialized_network(network, config)
    del writer  # the network's constants lived in it
    report = layer_report.read(lines)
    if serialised is None:
        raise PlanError(f"TensorRT could not build the plan: {'; '.join(report.errors) or 'it did not say why'}")
    problems = report.mistakes
    if tensorrt.capabilities.builds_for_other_gpus:  # the other package names its kernels otherwise
        problems = report.problems(request.config.layers, weights=precision.weights)
    if problems:
        raise PlanError(f"The plan would be slow or wrong, and is not kept: {'; '.join(problems)}")
    return BuiltPlan(bytes(serialised), report, time.monotonic() - began)
