"""The C++ decoder against the same arithmetic in torch, on every instruction set that this processor runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.kernels.build import TARGETS, KernelsUnavailableError, find_compiler
from inference.kernels.decoder import FusedDecoder, UnsupportedModelError
from inference.kernels.native import Format
from inference.weights import open_weights

from .checkpoints import write_checkpoint
from .reference import Reference

try:
    find_compiler()
except KernelsUnavailableError:
    pytest.skip("needs a C++ compiler", allow_module_level=True)

CPU_FLAGS = Path("/proc/cpuinfo").read_text()
NEEDS = {"avx2": "avx2", "avx512": "avx512bw", "avx512-vnni": "avx512_vnni"}
RUNNABLE = [target for target in TARGETS if NEEDS.get(target, "") in CPU_FLAGS]
# Roundings to 8 bits or bfloat16 fall on the other side here and there, when sums differ in the last bit. On logits of
# standard deviation 1, that moves single logits by a few hundredths, and the mean by much less.
WORST, MEAN = 0.12, 0.01

VARIANTS: dict[str, dict[str, Any]] = {
    "llama": {},
    "tied head": {"tie_word_embeddings": True},
    "qkv bias": {"family": "qwen2"},
    "q/k norm": {"family": "qwen3"},
    "sliding window": {"family": "mistral", "sliding_window": 21},
    "one key head for each query head": {"num_key_value_heads": 6},
    "many query heads on one": {"num_attention_heads": 15, "num_key_value_heads": 1},
    "wide heads": {"head_dim": 128, "num_attention_heads": 3, "num_key_value_heads": 1},
}


def ids(count: int, seed: int = 3) -> list[int]:
    return torch.randint(0, 131, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def make(folder: Path, *, kind: Format = Format.EIGHT_BIT, target: str = "native", **changes: Any) -> FusedDecoder:
    source = open_weights(write_checkpoint(folder, **changes))
    return FusedDecoder(source, slots=4, positions=200, threads=2, weight_format=kind, target=target)


def run(decoder: FusedDecoder, slot: int, start: int, tokens: list[int]) -> torch.Tensor:
    count = len(tokens)
    every = np.arange(count)
    return decoder.forward(np.array(tokens), np.full(count, slot), every + start, every)


def assert_close(ours: torch.Tensor, reference: torch.Tensor) -> None:
    difference = (ours - reference).abs() / reference.std()
    assert difference.max() < WORST
    assert difference.mean() < MEAN


@pytest.mark.parametrize("kind", [Format.EIGHT_BIT, Format.BFLOAT16])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_family_agrees_with_torch(tmp_path: Path, variant: str, kind: Format) -> None:
    changes = VARIANTS[variant]
    decoder = make(tmp_path, kind=kind, **changes)
    tokens = ids(75)
    assert_close(run(decoder, 1, 0, tokens), Reference(open_weights(tmp_path), kind).logits(tokens))


@pytest.mark.parametrize("kind", [Format.EIGHT_BIT, Format.BFLOAT16])
@pytest.mark.parametrize("target", RUNNABLE)
def test_every_instruction_set_agrees_with_torch(tmp_path: Path, target: str, kind: Format) -> None:
    decoder = make(tmp_path, kind=kind, target=target)
    tokens = ids(40)
    assert_close(run(decoder, 0, 0, tokens), Reference(open_weights(tmp_path), kind).logits(tokens))


def test_a_forgotten_scale_or_head_would_be_noticed(tmp_path: Path) -> None:
    """The tolerance is no blank cheque: a model with other weights in one layer fails it by far."""
    decoder = make(tmp_path / "a")
    other = open_weights(write_checkpoint(tmp_path / "b", seed=2))
    tokens = ids(20)
    with pytest.raises(AssertionError):
        assert_close(run(decoder, 0, 0, tokens), Reference(other, Format.EIGHT_BIT).logits(tokens))


@pytest.mark.parametrize("kind", [Format.EIGHT_BIT, Format.BFLOAT16])
def test_chunks_and_company_do_not_change_a_bit(tmp_path: Path, kind: Format) -> None:
    decoder = make(tmp_path, kind=kind)
    first, second, third = ids(60, 1), ids(33, 2), ids(17, 3)
    alone = run(decoder, 0, 0, first)
    chunks = [run(decoder, 1, 0, first[:13]), run(decoder, 1, 13, first[13:14]), run(decoder, 1, 14, first[14:45])]
    # The rest comes one token at a time, in steps shared with prompts and replies of other slots.
    for step in range(15):
        mixed = [first[45 + step], *second[2 * step : 2 * step + 2], third[step]]
        slots, positions = [1, 3, 3, 2], [45 + step, 2 * step, 2 * step + 1, step]
        chunks.append(decoder.forward(np.array(mixed), np.array(slots), np.array(positions), np.array([0])))
    assert torch.equal(torch.cat(chunks), alone)


def test_a_used_slot_starts_afresh_even_after_nan(tmp_path: Path) -> None:
    decoder, tokens = make(tmp_path), ids(31)
    clean = run(decoder, 0, 0, tokens)
    source = open_weights(tmp_path)
    norm = source.load("model.layers.0.input_layernorm.weight")
    decoder._vector(0, 0, torch.full_like(norm, torch.nan))  # type: ignore[arg-type]
    assert run(decoder, 2, 0, ids(90)).isnan().all()
    decoder._vector(0, 0, norm)  # type: ignore[arg-type]
    assert torch.equal(run(decoder, 2, 0, tokens), clean)


def test_a_copied_prefix_goes_on_like_the_original(tmp_path: Path) -> None:
    decoder, tokens = make(tmp_path), ids(70)
    whole = run(decoder, 0, 0, tokens)
    run(decoder, 3, 0, ids(90, 9))
    decoder.copy_prefix(source=0, target=3, length=37)
    assert torch.equal(run(decoder, 3, 37, tokens[37:]), whole[37:])


def test_release_forgets_only_what_lies_behind(tmp_path: Path) -> None:
    decoder, tokens = make(tmp_path), ids(150)
    whole = run(decoder, 0, 0, tokens)
    decoder.release(0, keep=100)
    assert torch.equal(run(decoder, 0, 100, tokens[100:]), whole[100:])


def test_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    decoder = make(tmp_path)
    for tokens, slots, positions, wanted in (([131], [0], [0], [0]), ([-1], [0], [0], [0]), ([1], [4], [0], [0])):
        with pytest.raises(ValueError, match="outside"):
            decoder.forward(np.array(tokens), np.array(slots), np.array(positions), np.array(wanted))
    with pytest.raises(ValueError, match="a position"):
        decoder.forward(np.array([1]), np.array([0]), np.array([200]), np.array([0]))
    with pytest.raises(ValueError, match="a row"):
        decoder.forward(np.array([1]), np.array([0]), np.array([0]), np.array([1]))


def test_a_model_that_does_not_fit_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="hidden size, 80"):
        make(tmp_path, hidden_size=80)
