"""The executor on a GPU through TensorRT: the plan for this GPU, built if it is not there, and the weights."""

from __future__ import annotations

import logging

import torch

from inference.tensorrt import api
from inference.tensorrt.contract import contract
from inference.tensorrt.memory import budget
from inference.tensorrt.plan import PlanRequest, build_plan
from inference.tensorrt.plan_cache import PlanCache
from inference.tensorrt.precision import precision_named
from inference.tensorrt.profiles import Limits
from inference.tensorrt.runtime import PlanRuntime
from inference.tensorrt.slot_executor import SlotExecutor
from inference.tensorrt.weight_set import load_weight_set
from inference.weights import WeightSource

logger = logging.getLogger(__name__)


def make_tensorrt_executor(
    source: WeightSource, *, slots: int, positions: int, precision: str, max_chunk: int, uses_graphs: bool = True
) -> SlotExecutor:
    """An executor for the GPU at hand. Raises InferenceError when TensorRT or the memory is missing."""
    tensorrt = api.load()
    limits = Limits(max_batch=slots, max_chunk=min(max_chunk, positions), positions=positions)
    tensors = contract(source.config, precision_named(precision), positions=positions)
    free = torch.cuda.mem_get_info()[0]
    budget(tensors, limits, scratch=0).require(free, limits)
    request = PlanRequest(source.config, precision, limits, target_at_hand(tensorrt), source)
    plan = PlanCache().get_or_build(
        request.key(tensorrt), request.describe(tensorrt), lambda: build_plan(request, tensorrt, _log_progress)
    )
    scratch = max(profile["scratch_bytes"] for profile in plan.details["report"]["profiles"])
    budget(tensors, limits, scratch=scratch).require(free, limits)
    runtime = PlanRuntime(tensorrt, plan.path.read_bytes(), tensors, uses_graphs=uses_graphs)
    weights = load_weight_set(source, tensors, device="cuda")
    return SlotExecutor(runtime, tensors, weights, limits=limits, precision=f"{precision}-{tensorrt.name}")


def target_at_hand(tensorrt: api.TensorRT) -> int | None:
    """This GPU's compute capability, where the package takes one, so that plans built elsewhere are found."""
    if not tensorrt.capabilities.builds_for_other_gpus:
        return None
    major, minor = torch.cuda.get_device_capability()
    return 10 * major + minor


def _log_progress(phase: str, done: float) -> None:
    logger.info("building a plan", extra={"phase": phase, "percent": round(100 * done)})
