"""What the compiler makes of our network, for every GPU it can build for, without one."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from inference.config import ModelConfig
from inference.tensorrt import api, command, plan
from inference.tensorrt.contract import contract
from inference.tensorrt.device import Machine
from inference.tensorrt.graph import define
from inference.tensorrt.layer_report import LayerReport, products_of
from inference.tensorrt.plan import PlanError, PlanRequest, build_plan, target_at_hand
from inference.tensorrt.precision import PRECISIONS, precision_named
from inference.tensorrt.profiles import Limits
from inference.tensorrt.weight_set import load_constants
from inference.weights import WeightSource

CONTRACT = Path(__file__).parent / "contract.json"
LIMITS = Limits(max_batch=64, max_chunk=512, positions=1000)
SMALL = ModelConfig(  # the default model's sizes, two layers of it
    family="llama",
    hidden_size=576,
    intermediate_size=1536,
    layers=2,
    heads=9,
    kv_heads=3,
    head_size=64,
    vocabulary=49152,
    window=8192,
    norm_epsilon=1e-5,
    rope_base=100000.0,
    tied_head=True,
)
EIGHT_BILLION = ModelConfig(  # Llama 3.1 8 B, two layers of it
    family="llama",
    hidden_size=4096,
    intermediate_size=14336,
    layers=2,
    heads=32,
    kv_heads=8,
    head_size=128,
    vocabulary=128256,
    window=131072,
    norm_epsilon=1e-5,
    rope_base=500000.0,
)
QWEN3 = ModelConfig(
    family="qwen3",
    hidden_size=1024,
    intermediate_size=3072,
    layers=2,
    heads=16,
    kv_heads=8,
    head_size=128,
    vocabulary=151936,
    window=40960,
    norm_epsilon=1e-6,
    rope_base=1000000.0,
    qk_norm=True,
)
QWEN2 = ModelConfig(
    family="qwen2",
    hidden_size=896,
    intermediate_size=4864,
    layers=2,
    heads=14,
    kv_heads=2,
    head_size=64,
    vocabulary=151936,
    window=32768,
    norm_epsilon=1e-6,
    rope_base=1000000.0,
    qkv_bias=True,
)
SCRATCH_TOLERANCE = 0.2
"""Of the contract's; a turned copy of the smallest vocabulary table would take six times as much as there is."""
TYPES = {"BFloat16": "BF16"}
"""Where the compiler's report calls a type otherwise than the network does."""
CASES = [
    ("small", SMALL, "float16", 80),
    ("small", SMALL, "bfloat16", 86),
    ("small", SMALL, "bfloat16", 89),
    ("small", SMALL, "float16", 120),
    ("8 B", EIGHT_BILLION, "bfloat16", 89),
    ("small, int8", SMALL, "float16-int8", 86),
    ("small, int8", SMALL, "bfloat16-int8", 89),
    ("8 B, int8", EIGHT_BILLION, "bfloat16-int8", 89),
    ("small, fp8", SMALL, "float16-fp8", 120),
    ("small, fp8", SMALL, "bfloat16-fp8", 89),
    ("8 B, fp8", EIGHT_BILLION, "bfloat16-fp8", 89),
    ("small, int4", SMALL, "float16-int4", 86),
    ("small, int4", SMALL, "bfloat16-int4", 89),
    ("8 B, int4", replace(EIGHT_BILLION, layers=1), "bfloat16-int4", 89),
    ("qwen3", QWEN3, "bfloat16", 89),
    ("qwen2", QWEN2, "float16", 86),
]


class NoiseSource(WeightSource):
    """A checkpoint of a config's sizes, filled with noise: what a plan that holds weights is built from here."""

    def __init__(self, config: ModelConfig) -> None:
        self.config, self.path = config, Path("noise")
        hidden, wide = config.hidden_size, config.intermediate_size
        attention = {"q": (config.query_size, hidden), "k": (config.kv_size, hidden), "v": (config.kv_size, hidden)}
        rest = {"o": (hidden, config.query_size), "gate": (wide, hidden), "up": (wide, hidden), "down": (hidden, wide)}
        self.sizes = {**attention, **rest}

    def names(self) -> set[str]:
        return set()

    def files(self) -> list[Path]:
        return []

    def load(self, name: str) -> torch.Tensor:
        rows, columns = self.sizes[name.split(".")[-2].removesuffix("_proj")]
        noise = torch.randn(min(rows, 64), columns, generator=torch.Generator().manual_seed(len(name)))
        return noise.repeat(-(-rows // 64), 1)[:rows]  # the compiler does not look at it


@pytest.mark.parametrize(("name", "config", "precision", "target"), CASES, ids=lambda value: str(value)[:12])
def test_every_layer_is_fused_and_nothing_is_wasted(
    name: str, config: ModelConfig, precision: str, target: int, trt: Any
) -> None:
    request = PlanRequest(config, precision, LIMITS, target, NoiseSource(config))
    report = build_plan(request, api.load("tensorrt_rtx")).report
    contracted = json.loads(CONTRACT.read_text())
    weights = precision_named(precision).weights
    assert report.problems(config.layers, weights=weights) == []
    profiles = contracted["plans"][f"{name}, {precision}, SM {target}"]
    for profile, expected in zip(report.profiles, profiles, strict=True):
        assert [profile.attention, profile.products] == [expected["attention"], expected["products"]]
        assert profile.scratch_bytes == pytest.approx(expected["scratch_bytes"], rel=SCRATCH_TOLERANCE)
    assert [profile.products for profile in report.profiles] == [products_of(config.layers, weights)] * 2
    assert [profile.fp8_products for profile in report.profiles] == [4 * config.layers * (weights == "fp8")] * 2
    assert [profile.int4_products for profile in report.profiles] == [4 * config.layers * (weights == "int4")] * 2
    most = 18 if weights == "int4" else 10  # sums of blocks, and the product of those, besides
    assert report.profiles[0].kernels <= most * config.layers + 4
    if not name.startswith("8 B"):
        check_tensors(report, contracted[contract_name(config, precision)])


def contract_name(config: ModelConfig, precision: str) -> str:
    return precision if config is SMALL else f"{config.family}, {precision}"


def check_tensors(report: LayerReport, expected: dict[str, Any]) -> None:
    """The compiled plan takes and gives exactly what the contract says, and updates in place what shares memory."""
    assert {line.name for line in report.tensors} == {*expected["inputs"], *expected["outputs"]}
    for line in report.tensors:
        kind = "inputs" if line.mode == "Input" else "outputs"
        dtype, shape = expected[kind][line.name]
        assert [TYPES.get(line.dtype, line.dtype.upper()), list(line.shape)] == [dtype, shape], line.name
    assert {*report.in_place} == {*expected["aliases"]}


def contract_of(trt: Any, config: ModelConfig, precision: str) -> dict[str, Any]:
    """Every input and output as the network declares it, and which output is which input, updated in place."""
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(0)
    kind = precision_named(precision)
    constants = load_constants(NoiseSource(config), contract(config, kind, positions=LIMITS.positions))
    writer = define(trt, network, config, kind, positions=LIMITS.positions, constants=constants)

    def lines(count: int, get: Any) -> dict[str, list[Any]]:
        tensors = [get(index) for index in range(count)]
        return {tensor.name: [tensor.dtype.name, list(tensor.shape)] for tensor in tensors}

    layers = [network.get_layer(index) for index in range(network.num_layers)]
    updates = [layer for layer in layers if layer.type == trt.LayerType.KV_CACHE_UPDATE]
    aliases = {layer.get_output(0).name: layer.get_input(0).name for layer in updates}
    del writer
    return {
        "inputs": lines(network.num_inputs, network.get_input),
        "outputs": lines(network.num_outputs, network.get_output),
        "aliases": aliases,
    }


@pytest.mark.parametrize(
    ("config", "precision"),
    [
        *((SMALL, name) for name in PRECISIONS if name != "float32"),
        (QWEN3, "bfloat16"),  # with norms of queries and keys
        (QWEN2, "float16"),  # with biases
    ],
    ids=lambda value: str(value)[:20],
)
def test_inputs_outputs_and_aliases_are_those_of_the_contract(config: ModelConfig, precision: str, trt: Any) -> None:
    assert contract_of(trt, config, precision) == json.loads(CONTRACT.read_text())[contract_name(config, precision)]


@pytest.mark.parametrize(
    ("precision", "target", "reason"),
    [
        ("float32", 89, "float32"),
        ("bfloat16", 75, "bfloat16"),
        ("float16", 90, "Hopper"),
        ("bfloat16-fp8", 80, "SM 80 has no FP8"),
        ("float16-fp8", 86, "SM 86 has no FP8"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_reason(precision: str, target: int, reason: str, trt: Any) -> None:
    with pytest.raises(PlanError, match=reason):
        build_plan(PlanRequest(SMALL, precision, LIMITS, target), api.load("tensorrt_rtx"))


@pytest.mark.parametrize(
    ("precision", "machine", "reason"),
    [
        ("bfloat16", Machine(gpu="Tesla T4", capability=75), "SM 75 has no bfloat16"),
        ("float16-fp8", Machine(gpu="NVIDIA A100", capability=80), "SM 80 has no FP8"),
    ],
)
def test_the_package_that_builds_on_the_spot_refuses_what_its_gpu_has_not(
    precision: str, machine: Machine, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trt: Any
) -> None:
    """By the door of `build` without --sm: the compiler is not asked."""
    rtx = api.load("tensorrt_rtx")
    on_the_spot = replace(rtx, name="tensorrt", capabilities=replace(rtx.capabilities, builds_for_other_gpus=False))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "load", lambda *_arguments, **_options: on_the_spot)
    monkeypatch.setattr(command.device, "look", lambda: machine)
    monkeypatch.setattr(command, "read_config", lambda _path: SMALL)
    sizes = {"max_batch": 2, "max_len": 60, "max_chunk": 16, "sm": None, "package": ""}
    options = argparse.Namespace(
        model=tmp_path, plans=tmp_path / "plans", list=False, prune=None, precision=precision, **sizes
    )
    with pytest.raises(PlanError, match=reason):
        command.run(options)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (replace(LIMITS, positions=10**9), "window is 8192 tokens"),
        (replace(LIMITS, max_batch=10**12), "refused the sizes"),
    ],
)
def test_absurd_sizes_are_refused_in_words(limits: Limits, reason: str, trt: Any) -> None:
    with pytest.raises(PlanError, match=reason):
        build_plan(PlanRequest(SMALL, "float16", limits, 89), api.load("tensorrt_rtx"))


def test_a_plan_for_the_gpu_at_hand_is_the_one_that_the_service_looks_for(trt: Any) -> None:
    rtx = api.load("tensorrt_rtx")
    assert target_at_hand(rtx, Machine(gpu="NVIDIA L4", capability=89)) == (89, "")
    with pytest.raises(PlanError, match=r"no CUDA.*--sm"):
        target_at_hand(rtx, Machine(no_gpu="no CUDA"))


@pytest.mark.parametrize("changed", ["graph.py", "layers.py", "contract.py"])
def test_a_network_that_is_written_otherwise_is_another_plan(changed: str, tmp_path: Path) -> None:
    code = Path(plan.__file__).parent
    for path in code.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert plan.graph_version(tmp_path) == plan.graph_version(code)
    (tmp_path / changed).write_bytes((code / changed).read_bytes() + b"\nEPSILON = 1\n")
    plan.graph_version.cache_clear()
    assert plan.graph_version(tmp_path) != plan.graph_version(code)


def test_plans_that_only_their_own_gpu_runs_are_kept_apart_by_its_name(trt: Any) -> None:
    rtx = api.load("tensorrt_rtx")
    on_the_spot = replace(rtx, name="tensorrt", capabilities=replace(rtx.capabilities, builds_for_other_gpus=False))
    keys = set()
    for gpu, capability in (("NVIDIA H100", 90), ("NVIDIA H200", 90)):
        target, name = target_at_hand(on_the_spot, Machine(gpu=gpu, capability=capability))
        keys.add(PlanRequest(SMALL, "float16", LIMITS, target, gpu=name).key(on_the_spot))
    assert len(keys) == 2


def test_the_key_follows_the_architecture_and_not_the_weights(trt: Any) -> None:
    tensorrt = api.load("tensorrt_rtx")
    request = PlanRequest(SMALL, "float16", LIMITS, 89)
    same = replace(request, config=replace(SMALL, end_tokens=(2,), rope_base=1.0, tied_head=False))
    assert same.key(tensorrt) == request.key(tensorrt)
    others = [
        replace(request, target=86),
        replace(request, precision="bfloat16"),
        replace(request, limits=replace(LIMITS, max_batch=32)),
        replace(request, config=replace(SMALL, norm_epsilon=1e-6)),
    ]
    assert len({request.key(tensorrt), *(other.key(tensorrt) for other in others)}) == 5
