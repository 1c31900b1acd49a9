"""A plan is refused for what its builder's log says, and for what it leaves out; the logs are written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from inference.tensorrt import api, layer_report
from inference.tensorrt.plan import PlanError, PlanRequest, build_plan
from tests.unit.inference.tensorrt.test_plans import LIMITS, SMALL

LAYERS = 2
CACHES = [f"layers.{layer}.{kind}_cache.updated" for layer in range(LAYERS) for kind in ("key", "value")]
Log = list[tuple[str, str]]


def log(*, products: int = 4 * LAYERS + 1, attention: int = LAYERS, profiles: int = 2) -> Log:
    """What tensorrt-rtx writes of a plan, in its words."""
    return [("VERBOSE", line) for profile in range(profiles) for line in lines(profile, products, attention)]


def copied(cache: str) -> Log:
    """In the second profile, a kernel reads the cache elsewhere than it writes it."""
    old, new = f"Inputs: [ {{ Name: {cache}", "Inputs: [ { Name: elsewhere"
    return [(kind, text.replace(old, new) if "_myl1_" in text else text) for kind, text in log()]


def lines(profile: int, products: int, attention: int) -> Iterator[str]:
    yield f"[MemUsage] Total Activation Memory: {1000 + profile} bytes"
    for name in CACHES:
        yield f"Name: {name}, IOMode: Output, DataType: Half, Dimensions: [-1,3,1024,64], Location: Device"
        both = f"{{ Name: {name}, Dimensions: [-1,3,1024,64] }}"
        yield f"Name: scatter_myl{profile}_50, LayerType: kgen, Inputs: [ {both}], Outputs: [ {both}], TacticName: x"
    kernel = ("_gemv_mha_v1", "_gemm_mha_v2")[profile]
    for number in range(attention):
        yield f"Name: {kernel}_myl{profile}_{number}, LayerType: kgen, Inputs: [ {{ Name: q }} ]"
    for number in range(products):
        yield f"Name: gemm_{number}_myl{profile}_{100 + number}, LayerType: gemm, Inputs: [ {{ Name: x }} ]"


def test_a_good_log_has_no_problems() -> None:
    report = layer_report.read(log())
    seen = [(profile.attention, profile.products, profile.scratch_bytes) for profile in report.profiles]
    assert seen == [(2, 9, 1000), (2, 9, 1001)]
    assert report.problems(LAYERS) == []


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        ([], "0 profiles instead of 2"),
        (log(profiles=1), "1 profiles instead of 2"),
        ([(kind, text.replace("Activation Memory", "Memory")) for kind, text in log()], "0 profiles instead of 2"),
        ([(kind, text.replace("Name: gemm", "Layer: gemm")) for kind, text in log()], "0 matrix products instead of 9"),
        (log(products=8), "8 matrix products instead of 9"),
        (log(products=10), "10 matrix products instead of 9"),
        (copied("layers.1.key_cache.updated"), "3 of 4 caches are updated in place"),
        (log(attention=1), "attention is fused in 1 of 2 layers"),
        ([*log(), ("ERROR", "no kernel")], "no kernel"),
        ([*log(), ("WARNING", "Unused Input: lm_head")], "Unused Input: lm_head"),
    ],
)
def test_what_the_log_says_or_does_not_say_is_a_problem(seen: Log, problem: str) -> None:
    problems = layer_report.read(seen).problems(LAYERS)
    assert problem in "; ".join(problems)


@pytest.mark.parametrize(
    ("line", "is_refused"),
    [
        (("ERROR", "a tactic gave wrong numbers"), True),
        (("WARNING", "Unused Input: lm_head"), True),
        (("INFO", "nothing that we know of its kernels"), False),
    ],
)
def test_an_error_or_an_unused_input_is_refused_whichever_package_built_the_plan(
    line: tuple[str, str], is_refused: bool, trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package for data-centre GPUs, simulated: the other one builds, and the log is not in its words."""
    rtx = api.load("tensorrt_rtx")

    class DataCentre(api.TensorRT):
        def set_target(self, config: Any, target: int | None) -> None:
            rtx.set_target(config, 89)

    monkeypatch.setattr(layer_report, "read", lambda _lines, read=layer_report.read: read([line]))
    here = replace(rtx.capabilities, builds_for_other_gpus=False, targets=())
    request = PlanRequest(SMALL, "float16", LIMITS, gpu="NVIDIA H100")
    made = DataCentre(rtx.trt, "tensorrt", "11.4", here)
    if is_refused:
        with pytest.raises(PlanError, match=line[1]):
            build_plan(request, made)
    else:
        assert build_plan(request, made).content
