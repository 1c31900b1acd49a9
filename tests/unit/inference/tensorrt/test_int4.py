"""Weights of 4 bits in blocks with scales and offsets: read inside the product, and right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from inference.executor.base import Segment
from inference.executor.interpreter_executor import make_interpreter_executor
from inference.executor.torch_executor import TorchExecutor
from inference.tensorrt import api
from inference.tensorrt.contract import BLOCK
from inference.tensorrt.four_bits import in_four_bits, packed, unpacked
from inference.tensorrt.gpu_check import SHORT, Subject, examine
from inference.tensorrt.graph import UnsupportedByTensorRTError
from inference.tensorrt.layers import NetworkWriter
from inference.tensorrt.plan import PlanError, PlanRequest, build_plan
from inference.tensorrt.profiles import Limits
from inference.weights import WeightSource, open_weights
from tests.unit.inference.test_model_agreement import save_random_checkpoint

SLOTS, POSITIONS = 4, 64
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2}
FAMILIES = ("Llama", "Mistral", "Qwen2", "Qwen3")
LIMITS = Limits(max_batch=SLOTS, max_chunk=8, positions=POSITIONS)


class InBlocks(WeightSource):
    """A checkpoint whose products are what blocks of 4 bits can hold, as those of a GGUF file in Q4_1 are."""

    def __init__(self, inner: WeightSource) -> None:
        self.inner, self.config, self.path = inner, inner.config, inner.path

    def names(self) -> set[str]:
        return self.inner.names()

    def files(self) -> list[Path]:
        return self.inner.files()

    def load(self, name: str) -> torch.Tensor:
        tensor = self.inner.load(name)
        if not name.endswith("_proj.weight"):
            return tensor
        codes, scale, offset = in_four_bits(tensor)
        wide = (part.half().float().repeat_interleave(BLOCK, 0) for part in (scale, offset))
        return (codes * next(wide) + next(wide)).t()


def checkpoint(path: Path, family: str = "Llama", *, seed: int = 7) -> WeightSource:
    sizes = {**SIZES, "head_dim": 16} if family == "Qwen3" else SIZES
    save_random_checkpoint(path, family, sizes, seed=seed)
    return open_weights(path)


def executors(source: WeightSource) -> tuple[Any, TorchExecutor]:
    sizes = {"slots": SLOTS, "positions": POSITIONS}
    interpreted = make_interpreter_executor(source, precision="float16-int4", max_chunk=8, **sizes)
    return interpreted, TorchExecutor(source, precision="float32", **sizes)


def error(source: WeightSource) -> float:
    """Of the logits over chunked prefill and ragged decode."""
    interpreted, reference = executors(source)
    generator = torch.Generator().manual_seed(11)
    texts = [torch.randint(0, 97, (length,), generator=generator).tolist() for length in (25, 3, 14)]
    rounds = [[Segment(slot, 0, text) for slot, text in enumerate(texts)]]
    rounds += [[Segment(slot, len(text) + step, [step]) for slot, text in enumerate(texts)] for step in range(3)]
    got, expected = (torch.cat([each.forward(segments) for segments in rounds]) for each in (interpreted, reference))
    return float((got - expected).norm() / expected.norm())


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_stored_in_blocks_of_4_bits_is_computed_as_in_16(family: str, tmp_path: Path, trt: Any) -> None:
    assert error(InBlocks(checkpoint(tmp_path, family))) < 0.02


def test_any_other_checkpoint_is_rounded_and_the_check_judges_by_how_much(tmp_path: Path, trt: Any) -> None:
    source = checkpoint(tmp_path)
    assert 0.02 < error(source) < 0.5
    assert all(result.is_good for result in examine(Subject(*executors(InBlocks(source))), SHORT))


def test_offsets_that_are_lost_are_noticed(tmp_path: Path, trt: Any) -> None:
    interpreted, reference = executors(InBlocks(checkpoint(tmp_path)))
    lost = {name: value * 0 if name.endswith(".offset") else value for name, value in interpreted.weights.items()}
    interpreted.swap_weights(lost)
    results = list(examine(Subject(interpreted, reference), SHORT))
    assert "prefill" in {result.name for result in results if not result.is_good}


def test_every_weight_is_within_half_a_step_of_its_own() -> None:
    matrix = torch.randn(6, 4 * BLOCK) * torch.tensor([0.01, 1.0, 3.0, 100.0, 0.0, 1e-6]).unsqueeze(1)
    codes, scale, offset = in_four_bits(matrix)
    steps, begin = (part.repeat_interleave(BLOCK, 0) for part in (scale, offset))
    assert ((codes * steps + begin - matrix.t()).abs() <= steps / 2 + 1e-6 * matrix.t().abs() + 1e-9).all()
    assert codes.min() == -8
    assert codes.max() == 7


def test_two_are_packed_in_a_byte_as_the_compiler_reads_them(trt: Any) -> None:
    codes = torch.randint(-8, 8, (128, 64), generator=torch.Generator().manual_seed(5)).to(torch.int8)
    assert torch.equal(unpacked(packed(codes)), codes)
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(0), builder.create_builder_config()
    api.load("tensorrt_rtx").set_target(config, 89)
    writer = NetworkWriter(trt, network)
    scale = writer.cast(writer.constant(torch.rand(4, 64).numpy() + 1, torch.float32), torch.float16)
    weight = writer.dequantised(writer.constant_of_four_bits(packed(codes)), scale, torch.float16, axis=None)
    x = network.add_input("x", trt.DataType.HALF, [16, 128])
    writer.output(writer.matmul(x, weight, is_transposed=False), "y")
    plan = bytes(builder.build_serialized_network(network, config))
    assert packed(codes.t().contiguous()).numpy().tobytes() in plan  # the compiler has turned it


def test_a_plan_belongs_to_its_checkpoint(tmp_path: Path, trt: Any) -> None:
    tensorrt = api.load("tensorrt_rtx")
    first, second = (checkpoint(tmp_path / str(seed), seed=seed) for seed in (7, 8))
    request = PlanRequest(first.config, "float16-int4", LIMITS, 89, first)
    assert request.key(tensorrt) != replace(request, source=second).key(tensorrt)
    others = replace(request, precision="float16")
    assert others.key(tensorrt) == replace(others, source=second).key(tensorrt)
    with pytest.raises(PlanError, match=r"not config\.json"):
        build_plan(replace(request, source=None), tensorrt)


def test_products_that_no_block_divides_are_refused(tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, "Llama", {})
    with pytest.raises(UnsupportedByTensorRTError, match="blocks of 32"):
        executors(open_weights(tmp_path))
