"""What building plans takes: seconds, bytes, memory, each precision in a process of its own, as an operator would.

Whole models, built for SM 89 without a GPU. `make bench` prints the table of docs/tensorrt.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from inference.fetch import fetch
from inference.tensorrt import api
from inference.tensorrt.plan import PlanRequest, build_plan
from inference.tensorrt.precision import PRECISIONS, precision_named
from tests.unit.inference.tensorrt.test_commands import SHAPE
from tests.unit.inference.tensorrt.test_plans import CASES, LIMITS, NoiseSource

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx has wheels for x86-64 Linux and Windows only")
ROOT = Path(__file__).parents[3]
DEFAULT = {**SHAPE, "num_hidden_layers": 30}
EIGHT_BILLION = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
}
MODELS = {
    "default": (DEFAULT, ["--max-batch", "64", "--max-len", "1000", "--max-chunk", "512"]),
    "8 B": (EIGHT_BILLION, ["--max-batch", "64", "--max-len", "4096", "--max-chunk", "512"]),
}
BUILDS = [
    (model, name)
    for model in MODELS
    for name, precision in PRECISIONS.items()
    # A plan that holds weights takes a checkpoint, and of 8 B there is none.
    if not precision.is_for_checking_only and (model == "default" or not precision.holds_the_checkpoint)
]
MOST_SECONDS = 180
MOST_MEGABYTES = 4000


@dataclass(frozen=True)
class Build:
    """One build by the command line: what the compiler took, and the most memory that the process ever had."""

    seconds: float
    plan_megabytes: float
    scratch_megabytes: tuple[float, ...]
    peak_megabytes: float


def build(folder: Path, model: Path, options: list[str]) -> Build:
    command = [sys.executable, "-m", "inference", "build", "--model", str(model), "--plans", str(folder), *options]
    with (folder / "said.txt").open("w+") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (folder / "said.txt").read_text()
    (kept,) = folder.glob("*.json")
    details = json.loads(kept.read_text())
    scratch = tuple(profile["scratch_bytes"] / 1e6 for profile in details["report"]["profiles"])
    return Build(details["seconds"], kept.with_suffix(".plan").stat().st_size / 1e6, scratch, used.ru_maxrss / 1e3)


@pytest.mark.parametrize(("model", "precision"), BUILDS)
def test_a_whole_model_is_built_in_minutes(model: str, precision: str, tmp_path: Path) -> None:
    config, options = MODELS[model]
    shape, plans = tmp_path / "model", tmp_path / "plans"
    for folder in (shape, plans):
        folder.mkdir()
    (shape / "config.json").write_text(json.dumps(config))
    path = fetch(ROOT / "var" / "models") if precision_named(precision).holds_the_checkpoint else shape
    made = build(plans, path, [*options, "--sm", "89", "--precision", precision])
    decode, prefill = made.scratch_megabytes
    print(
        f"{model}, {precision}: {made.seconds:.1f} s, plan {made.plan_megabytes:.1f} MB, scratch {decode:.0f} / "
        f"{prefill:.0f} MB, at most {made.peak_megabytes:.0f} MB of memory"
    )
    assert made.seconds < MOST_SECONDS
    assert made.peak_megabytes < MOST_MEGABYTES


def test_the_builds_of_every_test_run_take_less_than_three_minutes() -> None:
    tensorrt = api.load("tensorrt_rtx")
    requests = [PlanRequest(config, name, LIMITS, target, NoiseSource(config)) for _, config, name, target in CASES]
    built = [build_plan(request, tensorrt) for request in requests]
    seconds = sum(each.seconds for each in built)
    print(f"{len(built)} builds in {seconds:.0f} s")
    assert seconds < MOST_SECONDS
