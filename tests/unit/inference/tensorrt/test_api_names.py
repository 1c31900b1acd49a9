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
CODE = ROOT / "inference" / "tensorrt"
WITH_TENSORRT = sorted(path for path in CODE.glob("*.py") if "trt" in path.read_text() and path.name != "api.py")


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


@pytest.mark.parametrize("path", WITH_TENSORRT, ids=lambda path: path.name)
def test_what_we_take_from_the_module_is_in_both_packages(path: Path) -> None:
    assert names_of_module(path) <= COMMON


@pytest.mark.parametrize("path", WITH_TENSORRT, ids=lambda path: path.name)
def test_the_members_we_use_are_in_both_packages(path: Path, trt: Any) -> None:
    used = {chain[-1] for chain in attributes(path)} & members(trt)
    assert used <= {name.rsplit(".", 1)[-1] for name in COMMON}


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
    with pytest.raises(api.TensorRTUnavailableError, match=r"parley\[tensorrt\]"):
        api.load("no_such_tensorrt")
