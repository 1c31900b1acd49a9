"""What a plan needs is counted before it is taken, and refused with the numbers."""

from __future__ import annotations

import pytest

from inference.config import ModelConfig
from inference.tensorrt.contract import contract
from inference.tensorrt.memory import OutOfMemoryError, budget, bytes_read
from inference.tensorrt.precision import precision_named
from inference.tensorrt.profiles import Limits

LLAMA_8B = ModelConfig(
    family="llama",
    hidden_size=4096,
    intermediate_size=14336,
    layers=32,
    heads=32,
    kv_heads=8,
    head_size=128,
    vocabulary=128256,
    window=131072,
    norm_epsilon=1e-5,
    rope_base=500000.0,
)


def test_an_8_b_model_is_counted_as_published() -> None:
    limits = Limits(max_batch=16, max_chunk=512, positions=8191)
    needed = budget(contract(LLAMA_8B, precision_named("bfloat16"), positions=8191), limits, scratch=0)
    assert needed.weights / 2 == pytest.approx(8.03e9, rel=0.005)  # Llama 3.1 8 B has 8.03e9 parameters
    assert needed.cache == 16 * 8192 * 2 * 32 * 8 * 128 * 2  # 131,072 bytes a token
    assert needed.sampling == 2 * 16 * 128256 * 120  # recorded steps, and those that are not
    assert needed.logits == (1 + 2 + 4 + 8 + 16 + 16) * 128256 * 4  # every size's graph has its own
    assert LLAMA_8B.parameters == pytest.approx(8.03e9, rel=0.001)


@pytest.mark.parametrize(
    ("precision", "bytes_of_layers"), [("bfloat16", 2.0), ("bfloat16-int8", 1.0), ("bfloat16-fp8", 1.0)]
)
def test_a_step_reads_weights_as_they_are_stored(precision: str, bytes_of_layers: float) -> None:
    """Of the 8.03e9 parameters the embedding is not read, the head is read in 16 bits, and 6.98e9 are the layers'."""
    read = bytes_read(contract(LLAMA_8B, precision_named(precision), positions=4096))
    assert read == pytest.approx(2 * 128256 * 4096 + bytes_of_layers * 6.98e9, rel=0.01)


def test_weights_of_4_bits_are_read_with_their_scales_and_offsets() -> None:
    """Each block of 32 holds 16 bytes of codes, a scale of 4 bytes and an offset of 2."""
    read = bytes_read(contract(LLAMA_8B, precision_named("bfloat16-int4"), positions=4096))
    assert read == pytest.approx(2 * 128256 * 4096 + 22 / 32 * 6.98e9, rel=0.01)


def test_what_does_not_fit_is_refused_with_the_numbers() -> None:
    limits = Limits(max_batch=64, max_chunk=512, positions=8191)
    needed = budget(contract(LLAMA_8B, precision_named("bfloat16"), positions=8191), limits, scratch=200_000_000)
    with pytest.raises(OutOfMemoryError, match=r"64 slots of 8191 tokens.*INFERENCE_SLOTS") as refused:
        needed.require(22_000_000_000, limits)
    assert f"{needed.cache / 1e9:.1f}" in str(refused.value)
    needed.require(needed.total, limits)
