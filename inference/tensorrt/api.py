"""Which of NVIDIA's two packages is here, and what it can do that the other cannot.

`tensorrt` serves every data-centre GPU, but builds only on the GPU that will run the plan. `tensorrt-rtx` builds for
other GPUs, and without one, but leaves out Hopper and data-centre Blackwell. Their Python interfaces share all names
that this package uses; what differs is in `Capabilities`, and nowhere else.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from inference.errors import InferenceError

PACKAGES = ("tensorrt_rtx", "tensorrt")
DISTRIBUTIONS = {"tensorrt_rtx": "tensorrt-rtx", "tensorrt": "tensorrt"}


class TensorRTUnavailableError(InferenceError):
    """Neither package can be imported, or the one that was asked for cannot."""


@dataclass(frozen=True)
class Capabilities:
    """What the loaded package offers beyond what both have."""

    builds_for_other_gpus: bool
    """Plans can be built ahead of time for a named compute capability, without a GPU."""
    has_user_allocation_flag: bool
    """The plan must be told at build time that its memory will be given to it."""
    compiles_at_run_time: bool
    """Kernels for the sizes of a step are compiled when it is first run; until they are there, general ones do."""
    targets: tuple[int, ...]
    """Compute capabilities (89 for 8.9) that plans can be built for; empty: only the GPU at hand."""


@dataclass(frozen=True)
class TensorRT:
    """The loaded package: `trt` is the module, `name` and `version` say which."""

    trt: Any
    name: str
    version: str
    capabilities: Capabilities

    def set_target(self, config: Any, target: int | None) -> None:
        """Have a builder's config build for the compute capability `target`, or, with None, for the GPU at hand."""
        if target is None or not self.capabilities.builds_for_other_gpus:
            return
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(self.trt.ComputeCapability, f"SM{target}"), 0)

    def create_context(self, engine: Any, *, is_recorded: bool) -> Any:
        """An execution context whose memory is given to it. HAS NEVER RUN ON A GPU.

        What is recorded as a CUDA graph waits for its own kernels: the graph would keep the general ones for ever.
        """
        strategy = self.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if not (is_recorded and self.capabilities.compiles_at_run_time):
            return engine.create_execution_context(strategy)
        runtime_config = engine.create_runtime_config()
        runtime_config.set_execution_context_allocation_strategy(strategy)
        kinds = self.trt.DynamicShapesKernelSpecializationStrategy
        runtime_config.dynamic_shapes_kernel_specialization_strategy = kinds.EAGER
        return engine.create_execution_context(runtime_config)

    def require_user_allocation(self, config: Any) -> None:
        """Have the plan take all of its memory from us, so that CUDA graphs of it can be recorded."""
        if self.capabilities.has_user_allocation_flag:
            config.set_flag(self.trt.BuilderFlag.REQUIRE_USER_ALLOCATION)


def load(package: str = "", *, capability: int | None = None) -> TensorRT:
    """The package named, or the first of PACKAGES that is here and builds for GPUs of this capability, if one does.

    Raises TensorRTUnavailableError.
    """
    reasons, found = [], []
    for name in (package,) if package else PACKAGES:
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError) as error:  # OSError: its shared libraries cannot be loaded
            reasons.append(f"{name}: {error}")
            continue
        loaded = TensorRT(module, name, str(module.__version__), capabilities_of(module))
        targets = loaded.capabilities.targets
        if capability is None or not targets or capability in targets:
            return loaded
        found.append(loaded)
    if found:
        return found[0]
    raise TensorRTUnavailableError(
        "TensorRT is not installed. Run `.venv/bin/pip install '.[tensorrt]'` on a machine with a data-centre GPU, or "
        f"`.venv/bin/pip install '.[tensorrt-rtx]'` for any other. ({'; '.join(reasons)})"
    )


def require(is_done: bool, what: str) -> None:
    """Raises InferenceError where NVIDIA's runtime says no."""
    if not is_done:
        raise InferenceError(f"TensorRT refused {what}; its log says why.")


def capabilities_of(module: Any) -> Capabilities:
    """What a package offers, by looking at its names."""
    targets = getattr(module, "ComputeCapability", None)
    names = [name for name in dir(targets) if name.startswith("SM")] if targets else []
    return Capabilities(
        builds_for_other_gpus=hasattr(module.IBuilderConfig, "set_compute_capability"),
        has_user_allocation_flag=hasattr(module.BuilderFlag, "REQUIRE_USER_ALLOCATION"),
        compiles_at_run_time=hasattr(module, "DynamicShapesKernelSpecializationStrategy"),
        targets=tuple(sorted(int(name.removeprefix("SM")) for name in names)),
    )
