"""What can be said without a GPU of the part that needs one: how long it is, and that what it records can be."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from inference.sampling import SamplingParameters
from inference.slot_sampler import Needs, SlotSampler
from inference.tensorrt import runtime

NOT_RECORDABLE = {"aten._local_scalar_dense.default", "aten.nonzero.default", "aten.masked_select.default"}
"""The host would have to wait for what they give."""


class Watching(TorchDispatchMode):
    """Notes every operation, and the devices of what it takes and gives."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, set[str]]] = []

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, arguments: Sequence[Any] = (), options: Any = None
    ) -> Any:
        given = function(*arguments, **(options or {}))
        every = [*arguments, *(options or {}).values(), *(given if isinstance(given, tuple) else [given])]
        self.seen.append((str(function), {value.device.type for value in every if isinstance(value, torch.Tensor)}))
        return given


def test_the_part_that_calls_nvidias_runtime_stays_under_100_lines() -> None:
    assert len(Path(inspect.getfile(runtime)).read_text().splitlines()) < 100


def test_choosing_tokens_never_leaves_the_device_so_that_it_can_be_recorded() -> None:
    """A copy to or from the host, or a wait for it, makes a recording fail."""
    device = torch.device("meta")  # has shapes and no numbers: whatever asks for one fails
    sampler = SlotSampler(slots=4, vocabulary=50, device=device, upload=lambda tensor: tensor.to(device))
    every = SamplingParameters(
        temperature=0.8,
        top_k=5,
        top_p=0.9,
        min_p=0.1,
        repetition_penalty=1.2,
        frequency_penalty=0.1,
        logit_bias={3: 1.0},
    )
    sampler.begin(0, every, [1, 2])
    logits, lengths = torch.zeros(4, 50, device=device), torch.zeros(4, dtype=torch.int32, device=device)
    with torch.inference_mode(), Watching() as watching:
        sampler.choose(logits, 0, lengths, Needs(draws=True, filters=True, penalties=True, biases=True, logprobs=True))
    assert len(watching.seen) > 50
    assert [name for name, devices in watching.seen if devices != {"meta"} or name in NOT_RECORDABLE] == []
