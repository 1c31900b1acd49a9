"""Which engine runs the default model: the one that is named, or the one that a measurement favours."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from inference.executor.fused_executor import FusedExecutor
from inference.executor.torch_executor import TorchExecutor
from inference.kernels.build import KernelsUnavailableError, find_compiler
from inference.loading import TORCH_ADVANTAGE, make_executor
from inference.settings import Settings
from inference.weights import open_weights

try:
    find_compiler()
except KernelsUnavailableError:
    pytest.skip("needs a C++ compiler", allow_module_level=True)


@pytest.mark.parametrize(("engine", "kind"), [("fused", FusedExecutor), ("torch", TorchExecutor)])
def test_an_engine_that_is_named_is_taken_unmeasured(
    default_model: Path, engine: str, kind: type, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = Settings(model=default_model, engine=engine, precision="bfloat16", slots=1, threads=2)
    executor = make_executor(open_weights(default_model), settings, positions=64)
    assert isinstance(executor, kind)
    assert not [record for record in caplog.records if record.message == "engine measured"]
    executor.close()


def test_left_to_itself_it_measures_and_follows_the_measurement(
    default_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    executor = make_executor(open_weights(default_model), Settings(slots=1, threads=2), positions=64)
    measured = next(record for record in caplog.records if record.message == "engine measured")
    is_fast_enough = vars(measured)["kernels_over_torch"] < TORCH_ADVANTAGE
    assert isinstance(executor, FusedExecutor if is_fast_enough else TorchExecutor)
    executor.close()
