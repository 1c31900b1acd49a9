"""Every name we use is in both of NVIDIA's packages; the list was made by comparing tensorrt 11.4 and rtx 1.7."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inference.tensorrt import api

ROOT = Path(__file__).parents[4]
COMMON = {line for line in (Path(__file__).parent / "common_names.txt").read_text().split() if line}
CODE = ROOT / "inference"
HOLDERS = {
    "builder": "Builder",
    "config": "IBuilderConfig",
    "context": "IExecutionContext",
    "engine": "ICudaEngine",
    "network": "INetworkDefinition",
    "profile": "IOptimizationProfile",
    "runtime": "Runtime",
    "runtime_config": "IRuntimeConfig",
}
"""What our code calls NVIDIA's objects, but for layers and tensors, which are of many classes."""
SPEAKING = ("trt", "builder: Any", "engine: Any")
"""A file without any of these words has nothing of NVIDIA's in its hands."""
WITH_TENSORRT = sorted(path for path in CODE.rglob("*.py") if any(word in path.read_text() for word in SPEAKING))
ONLY_IN_ONE = {
    "ComputeCapability",
    "BuilderFlag.REQUIRE_USER_ALLOCATION",
    "DynamicShapesKernelSpecializationStrategy",
    "IBuilderConfig.num_compute_capabilities",
    "IBuilderConfig.set_compute_capability",
    "IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy",
    "DynamicShapesKernelSpecializationStrategy.EAGER",
}
"""What api.py takes from tensorrt-rtx where its capability table says that it is there; the other has none of it."""


def dotted(node: ast.expr) -> list[str]:
    """`self.trt.DataType.FLOAT` -> ["self", "trt", "DataType", "FLOAT"]."""
    if isinstance(node, ast.Attribute):
        return [*dotted(node.value), node.attr]
    return [node.id] if isinstance(node, ast.Name) else ["?"]


def attributes(path: Path) -> Iterator[list[str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            yield dotted(node)


def names_of_module(path: Path) -> set[str]:
    """What is taken from the module itself: `Builder`, `DataType.FLOAT`."""
    chains = [chain for chain in attributes(path) if "trt" in chain[:-1]]
    return {".".join(chain[chain.index("trt") + 1 :]) for chain in chains if not chain[-1].startswith("__")}


def members(module: Any) -> set[str]:
    """The names of methods and properties that any class of the package has and Python's own types have not."""
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    own = {name for value in classes for name in dir(value) if not name.startswith("_")}
    return own - set(dir(str)) - set(dir(list)) - set(dir(dict))


def members_of_holders(path: Path, trt: Any) -> set[str]:
    """`Class.member` for what is taken from an object whose class its name tells: `self._engine.x`, `builder.y`."""
    found = set()
    for chain in attributes(path):
        holder = chain[-2].lstrip("_")
        known = HOLDERS.get(holder)
        if known and hasattr(getattr(trt, known), chain[-1]):
            found.add(f"{known}.{chain[-1]}")
    return found


def used(path: Path, trt: Any) -> set[str]:
    return names_of_module(path) | members_of_holders(path, trt)


@pytest.mark.parametrize("path", WITH_TENSORRT, ids=lambda path: path.name)
def test_what_we_take_from_the_module_and_its_objects_is_in_both_packages(path: Path, trt: Any) -> None:
    assert used(path, trt) - COMMON <= (ONLY_IN_ONE if path.name == "api.py" else set())


@pytest.mark.parametrize("path", WITH_TENSORRT, ids=lambda path: path.name)
def test_the_members_we_use_are_in_both_packages(path: Path, trt: Any) -> None:
    of_one = {name.rsplit(".", 1)[-1] for name in ONLY_IN_ONE} if path.name == "api.py" else set()
    taken = {chain[-1] for chain in attributes(path)} & members(trt)
    assert taken - of_one <= {name.rsplit(".", 1)[-1] for name in COMMON}


def test_nothing_is_allowed_to_be_in_one_package_alone_that_is_not_used(trt: Any) -> None:
    (path,) = [path for path in WITH_TENSORRT if path.name == "api.py"]
    assert used(path, trt) - COMMON == ONLY_IN_ONE - {"DynamicShapesKernelSpecializationStrategy.EAGER"}
    assert ONLY_IN_ONE.isdisjoint(COMMON)


def test_all_who_hold_something_of_nvidias_are_looked_at() -> None:
    names = {path.relative_to(CODE).as_posix() for path in WITH_TENSORRT}
    assert names >= {
        "executor/interpreter_executor.py",
        *(f"tensorrt/{name}.py" for name in ("api", "build_log", "graph", "interpreter", "layers")),
        *(f"tensorrt/{name}.py" for name in ("plan", "profiles", "runtime", "semantics")),
    }


def test_the_list_holds_names_that_exist(trt: Any) -> None:
    def exists(name: str) -> bool:
        value: Any = trt
        for part in name.split("."):
            value = getattr(value, part, None)
        return value is not None

    assert [name for name in sorted(COMMON) if not exists(name)] == []


def test_it_finds_what_the_package_can_do(trt: Any) -> None:
    loaded = api.load("tensorrt_rtx")
    assert loaded.capabilities.builds_for_other_gpus
    assert {80, 86, 89, 120} <= set(loaded.capabilities.targets)
    assert 90 not in loaded.capabilities.targets  # Hopper is tensorrt's


def test_of_two_packages_the_one_that_builds_for_the_gpu_is_taken(trt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = SimpleNamespace(__version__="11.4", IBuilderConfig=object(), BuilderFlag=object())
    monkeypatch.setitem(sys.modules, "tensorrt", simulated)
    assert api.load(capability=89).name == "tensorrt_rtx"
    assert api.load(capability=90).name == "tensorrt"
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert api.load(capability=90).name == "tensorrt_rtx"  # whose refusal says what to install


def test_what_is_recorded_waits_for_its_own_kernels(trt: Any) -> None:
    """On a simulated engine: the real one wants a GPU. The configuration's names and values are the package's own."""
    rtx = api.load("tensorrt_rtx")
    strategy, kinds = trt.ExecutionContextAllocationStrategy.USER_MANAGED, trt.DynamicShapesKernelSpecializationStrategy
    given: list[Any] = []
    config = SimpleNamespace(set_execution_context_allocation_strategy=given.append)
    engine = SimpleNamespace(create_runtime_config=lambda: config, create_execution_context=given.append)
    assert {*dir(config)} - {*dir(object)} - {"__dict__"} <= {*dir(trt.IRuntimeConfig)}
    rtx.create_context(engine, is_recorded=True)
    assert given == [strategy, config]
    assert config.dynamic_shapes_kernel_specialization_strategy == kinds.EAGER
    assert hasattr(trt.IRuntimeConfig, "dynamic_shapes_kernel_specialization_strategy")
    rtx.create_context(engine, is_recorded=False)
    assert given[2:] == [strategy]


def test_a_missing_package_is_told_with_what_to_install() -> None:
    with pytest.raises(api.TensorRTUnavailableError, match=r"pip install '\.\[tensorrt\]'"):
        api.load("no_such_tensorrt")
