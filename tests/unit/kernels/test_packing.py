"""Weights quantised in a GGUF file are packed straight from its blocks: to the last bit as from their numbers."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf.quants import quantize

from inference.kernels.build import KernelsUnavailableError, find_compiler
from inference.kernels.decoder import FusedDecoder
from inference.kernels.native import Format
from inference.weights import GGUF_LAYER_NAMES, GGUF_NAMES, WeightSource, open_weights

from .checkpoints import SIZES, write_checkpoint

try:
    find_compiler()
except KernelsUnavailableError:
    pytest.skip("needs a C++ compiler", allow_module_level=True)

STORED = {canonical: stored for stored, canonical in (GGUF_NAMES | GGUF_LAYER_NAMES).items()}


class Numbers(WeightSource):
    """Another source's tensors without their file: what it gives are float32 numbers."""

    def __init__(self, source: WeightSource) -> None:
        self.path, self.config = source.path, source.config
        self._source = source

    def load(self, name: str) -> torch.Tensor:
        return self._source.load(name)

    def names(self) -> set[str]:
        return self._source.names()

    def files(self) -> list[Path]:
        return self._source.files()


def stored_name(name: str) -> str:
    if name in STORED:
        return STORED[name]
    _, _, layer, *module, kind = name.split(".")
    return f"blk.{layer}.{STORED['.'.join(module)]}.{kind}"


def write_gguf(folder: Path, kind: gguf.GGMLQuantizationType) -> Path:
    """The small checkpoint as one GGUF file, its matrices quantised to `kind`."""
    source = open_weights(write_checkpoint(folder))
    path = folder / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_embedding_length(SIZES["hidden_size"])
    writer.add_feed_forward_length(SIZES["intermediate_size"])
    writer.add_block_count(SIZES["num_hidden_layers"])
    writer.add_head_count(SIZES["num_attention_heads"])
    writer.add_head_count_kv(SIZES["num_key_value_heads"])
    writer.add_key_length(SIZES["head_dim"])
    writer.add_context_length(SIZES["max_position_embeddings"])
    writer.add_layer_norm_rms_eps(SIZES["rms_norm_eps"])
    for name in sorted(source.names()):
        values = source.load(name).numpy()
        if values.ndim == 2:
            writer.add_tensor(stored_name(name), quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(stored_name(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


# Not Q8_0 in 8 bits: that keeps the file's own scales, which are not those that its numbers suggest.
PAIRS = [("Q4_0", Format.BFLOAT16), ("Q4_1", Format.BFLOAT16), ("Q8_0", Format.BFLOAT16), ("Q4_1", Format.EIGHT_BIT)]


@pytest.mark.parametrize(("kind", "packed"), PAIRS)
def test_blocks_and_numbers_are_packed_alike(tmp_path: Path, kind: str, packed: Format) -> None:
    source = open_weights(write_gguf(tmp_path, gguf.GGMLQuantizationType[kind]))
    tokens, every = np.arange(60), np.arange(60)

    def logits(weights: WeightSource) -> torch.Tensor:
        decoder = FusedDecoder(weights, slots=1, positions=64, threads=2, weight_format=packed)
        return decoder.forward(tokens, np.zeros(60), every, every)

    straight = logits(source)
    assert torch.equal(straight, logits(Numbers(source)))
    assert straight.isfinite().all()
    assert straight.std() > 0.1
