"""A model on a simulated GPU is replaced by a newer one, or stays: it never ends up on the CPU."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from inference import loading
from inference.engine import Phase
from inference.errors import RequestError
from inference.executor import gpu
from inference.executor.torch_executor import TorchExecutor
from inference.metrics import Metrics
from inference.registry import ModelRegistry
from inference.settings import Settings
from inference.tensorrt.device import Choice, Machine
from tests.integration.inference.checkpoints import write_small_model

FULL = "The GPU cannot be used. tensorrt failed: 16.1 GB are needed and 2.0 GB are free."


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A GPU that has room for as many models as there are entries; torch on the CPU computes for it."""
    left = ["for one"]

    def make(source: Any, settings: Settings, choice: Choice, *, positions: int) -> tuple[TorchExecutor, Choice]:
        if not left:
            raise gpu.GpuFailedError(FULL)
        left.pop()
        return TorchExecutor(source, slots=settings.slots, positions=positions, precision="float32"), choice

    monkeypatch.setattr(loading.device, "look", lambda: Machine(gpu="NVIDIA L4", capability=89))
    monkeypatch.setattr(gpu, "make_gpu_executor", make)
    return left


async def test_what_finds_no_room_beside_the_old_one_is_refused_with_the_numbers(
    room: list[str], tmp_path: Path, default_model: Path
) -> None:
    model = write_small_model(tmp_path / "model", default_model)
    settings = Settings(model=model, name="small", slots=2, context=64)
    registry = ModelRegistry(settings, metrics=Metrics(), on_crash=pytest.fail)
    registry.start()
    serving = registry.engine("small")
    await asyncio.to_thread(serving.settled.wait, 60)
    try:
        with pytest.raises(RequestError, match=r"16\.1 GB are needed and 2\.0 GB are free"):
            await registry.load("small", model)
        assert registry.engine("small") is serving
        assert (serving.phase, serving.model.device.device) == (Phase.READY, "tensorrt")
        # Beside another model there may be one on the CPU, as at the start.
        assert (await registry.load("another", model)).model.device.device == "cpu"
        room.append("for one more")
        assert (await registry.load("small", model)).model.device.device == "tensorrt"
        assert registry.engine("small") is not serving
    finally:
        await registry.close(10)
