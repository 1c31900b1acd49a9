"""The executor on a GPU through TensorRT: the plan for this GPU, built if it is not there, and the weights."""

from __future__ import annotations

import logging

from inference.tensorrt import api, device
from inference.tensorrt.contract import contract
from inference.tensorrt.memory import Promise, budget
from inference.tensorrt.plan import PlanRequest, build_plan, target_at_hand
from inference.tensorrt.plan_cache import PlanCache
from inference.tensorrt.precision import precision_named
from inference.tensorrt.profiles import Limits
from inference.tensorrt.runtime import PlanRuntime
from inference.tensorrt.slot_executor import SlotExecutor
from inference.tensorrt.weight_set import load_weight_set
from inference.weights import WeightSource

logger = logging.getLogger(__name__)


def make_tensorrt_executor(
    source: WeightSource, *, slots: int, positions: int, precision: str, max_chunk: int
) -> SlotExecutor:
    """An executor for the GPU at hand. Raises InferenceError when TensorRT or the memory is missing."""
    machine = device.look()
    tensorrt = api.load(capability=machine.capability)
    limits = Limits(max_batch=slots, max_chunk=min(max_chunk, positions), positions=positions)
    tensors = contract(source.config, precision_named(precision), positions=positions)
    promise = Promise()
    promise.require(budget(tensors, limits, scratch=0), limits)
    target, gpu = target_at_hand(tensorrt, machine)
    request = PlanRequest(source.config, precision, limits, target, source, gpu, machine.capability)
    plan = PlanCache().get_or_build(
        request.key(tensorrt), request.describe(tensorrt), lambda: build_plan(request, tensorrt, _log_progress)
    )

    def require_memory(scratch: int) -> None:
        promise.require(budget(tensors, limits, scratch=scratch), limits)

    # The package `tensorrt` may say nothing of it in its log; its runtime says it when the plan is loaded.
    require_memory(max((profile["scratch_bytes"] for profile in plan.details["report"]["profiles"]), default=0))
    runtime = PlanRuntime(tensorrt, plan.content, tensors, require_memory)
    weights = load_weight_set(source, tensors, device=runtime.device)
    executor = SlotExecutor(
        runtime, tensors, weights, limits=limits, precision=f"{precision}-{tensorrt.name}", promise=promise
    )
    executor.warm_up()
    return executor


def _log_progress(phase: str, done: float) -> None:
    logger.info("building a plan", extra={"phase": phase, "percent": round(100 * done)})
