"""`python -m inference build`: parses, builds or lists, prints."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from inference import config as model_config
from inference.config import ModelConfig
from inference.errors import InferenceError
from inference.tensorrt import api, device
from inference.tensorrt.plan import PlanRequest, build_plan, target_at_hand
from inference.tensorrt.plan_cache import DEFAULT_ROOT, CachedPlan, PlanCache
from inference.tensorrt.precision import precision_named
from inference.tensorrt.profiles import Limits
from inference.weights import open_weights

MEGABYTE = 1_000_000


def run(options: argparse.Namespace) -> int:
    """Build, list or prune as asked; the exit status. Raises InferenceError."""
    root = options.plans or DEFAULT_ROOT
    try:
        return _run(options, PlanCache(root))
    except OSError as error:
        raise InferenceError(f"Plans cannot be kept in {root}: {error.strerror or error}.") from error


def _run(options: argparse.Namespace, cache: PlanCache) -> int:
    if options.prune is not None:
        for plan in cache.prune(limit=options.prune * MEGABYTE):
            _say(f"removed {_line(plan)}")
        return 0
    if options.list:
        for plan in cache.plans():
            _say(_line(plan))
        return 0
    if options.model is None:
        raise InferenceError("Say which model with --model PATH (or --list, or --prune).")
    _say(_line(_build(options, cache)))
    return 0


def _build(options: argparse.Namespace, cache: PlanCache) -> CachedPlan:
    if min(options.max_batch, options.max_len, options.max_chunk) < 1:
        raise InferenceError("--max-batch, --max-len and --max-chunk start at 1.")
    machine = device.look()
    tensorrt = api.load(options.package, capability=options.sm or machine.capability or None)
    target, gpu = (options.sm, "") if options.sm is not None else target_at_hand(tensorrt, machine)
    limits = Limits(
        max_batch=options.max_batch, max_chunk=min(options.max_chunk, options.max_len), positions=options.max_len
    )
    has_weights = precision_named(options.precision).holds_the_checkpoint
    source = open_weights(options.model) if has_weights else None
    config = source.config if source else read_config(options.model)
    request = PlanRequest(config, options.precision, limits, target, source, gpu, machine.capability)
    shown = _Shown()
    return cache.get_or_build(
        request.key(tensorrt), request.describe(tensorrt), lambda: build_plan(request, tensorrt, shown)
    )


def read_config(path: Path) -> ModelConfig:
    """The architecture at `path`; of a Hugging Face folder, config.json is enough. Raises ModelError."""
    if (path / "config.json").exists():
        return model_config.from_directory(path)
    return open_weights(path).config


class _Shown:
    """Progress on the terminal: one line a phase, and one for each tenth of it."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.last = ("", -1)

    def __call__(self, phase: str, done: float) -> None:
        now = (phase, int(done * 10))
        if now != self.last:
            self.last = now
            _say(f"{time.monotonic() - self.began:6.1f} s  {phase}: {done:.0%}", to_error=True)


def _line(plan: CachedPlan) -> str:
    about: dict[str, Any] = plan.description
    model, limits, report = about["model"], about["limits"], plan.details["report"]
    scratch = "/".join(f"{profile['scratch_bytes'] / MEGABYTE:.0f}" for profile in report["profiles"])
    target = f"SM{about['target']}" if about["target"] else about.get("gpu", "the GPU it was built on")
    return (
        f"{plan.key}  {model['family']} {model['layers']}x{model['hidden_size']}  {about['precision']}  {target}  "
        f"batch {limits['max_batch']}, {limits['positions']} tokens  {plan.size / MEGABYTE:.1f} MB, "
        f"scratch {scratch} MB, built in {plan.details['seconds']:.0f} s by {about['package']} {about['version']}"
    )


def _say(text: str, *, to_error: bool = False) -> None:
    print(text, file=sys.stderr if to_error else sys.stdout, flush=True)
