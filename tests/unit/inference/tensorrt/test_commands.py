"""`python -m inference build` and `gpu-check`, as an operator runs them: exit status, what is said, what is written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from inference.__main__ import main
from tests.unit.inference.test_model_agreement import save_random_checkpoint

ROOT = Path(__file__).parents[4]
SHAPE = {  # the default model's, two layers of it
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 2,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100000.0,
    "tie_word_embeddings": True,
}
PROGRESS = re.compile(r" *\d+\.\d s  .+: \d+%")
PLAN = re.compile(
    r"[0-9a-f]{24}  llama 2x576  float16  SM89  batch 4, 100 tokens  \d+\.\d MB, scratch \d+/\d+ MB, "
    r"built in \d+ s by tensorrt_rtx \S+"
)
CHECK = ["gpu-check", "--way", "interpreter", "--short", "--max-batch", "3", "--max-len", "60"]
SHORT = ["prefill", "chunks", "ragged decode", "choosing", "repeatability"]


def test_a_plan_is_built_with_progress_listed_found_again_and_pruned(
    tmp_path: Path, trt: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SHAPE))
    kept = ["--plans", str(tmp_path / "plans")]
    sizes = ["--sm", "89", "--precision", "float16", "--max-batch", "4", "--max-len", "100"]
    build = ["build", "--model", str(tmp_path), *sizes, *kept]

    command = [sys.executable, "-m", "inference", *build]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    (line,) = built.stdout.splitlines()
    assert PLAN.fullmatch(line)
    shown = [text for text in built.stderr.splitlines() if PROGRESS.fullmatch(text)]
    assert shown[-1].endswith("100%")
    assert len(shown) > 2

    assert main(build) == 0
    again = capsys.readouterr()
    assert again.out == built.stdout
    assert not [text for text in again.err.splitlines() if PROGRESS.fullmatch(text)]  # nothing was built

    assert main(["build", "--list", *kept]) == 0
    assert capsys.readouterr().out == built.stdout
    assert main(["build", "--prune", "0", *kept]) == 0
    assert capsys.readouterr().out == f"removed {built.stdout}"
    assert main(["build", "--list", *kept]) == 0
    assert capsys.readouterr().out == ""
    assert not list((tmp_path / "plans").glob("*.plan"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--sm", "90"], "not 90"),
        (["--max-batch", "0"], "start at 1"),
        (["--precision", "float8"], "no precision 'float8'"),
    ],
)
def test_what_cannot_be_built_ends_with_a_reason(
    options: list[str], reason: str, tmp_path: Path, trt: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SHAPE))
    build = ["build", "--model", str(tmp_path), "--plans", str(tmp_path / "plans"), "--package", "tensorrt_rtx"]
    assert main([*build, "--sm", "89", *options]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert reason in said.err
    assert said.out == ""


def check(model: Path, precision: str) -> tuple[int, dict[str, Any]]:
    """The exit status, and the report."""
    report = model / "report.json"
    status = main([*CHECK, "--model", str(model), "--precision", precision, "--report", str(report)])
    return status, json.loads(report.read_text())


def test_a_model_that_is_computed_rightly_passes_and_is_reported(
    tmp_path: Path, trt: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    save_random_checkpoint(tmp_path, "Llama", {})
    status, report = check(tmp_path, "float32")
    assert status == 0
    assert [(result["name"], result["is_good"]) for result in report["results"]] == [(name, True) for name in SHORT]
    assert report["precision"] == "float32-interpreted"
    assert report["is_plan"]
    assert report["model"]
    assert report["machine"]["no_gpu"]
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == ["good"] * len(SHORT)


def test_weights_that_are_spoilt_end_it_with_1(tmp_path: Path, trt: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One large weight in each row leaves a few steps of 8 bits for all others."""
    save_random_checkpoint(tmp_path, "Llama", {})
    weights = load_file(tmp_path / "model.safetensors")
    for name, matrix in weights.items():
        if name.endswith(("up_proj.weight", "gate_proj.weight")):
            matrix[:, 0] *= 200.0
        if name.endswith("post_attention_layernorm.weight"):
            matrix[0] /= 200.0
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    status, report = check(tmp_path, "float16-int8")
    assert status == 1
    wrong = {result["name"] for result in report["results"] if not result["is_good"]}
    assert "prefill" in wrong
    assert "WRONG  prefill: divergence" in capsys.readouterr().out
