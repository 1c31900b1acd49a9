"""Writes the weights of a GGUF file as a folder that `transformers serve` takes: bfloat16, with the file's tokenizer.

Arguments: FILE FOLDER. A process of its own, so that the benchmark need not hold a second copy of the model.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

# What the loader leaves in the configuration says that the weights are still packed; they no longer are.
OF_PACKED_WEIGHTS = ("quantization_config", "_pre_quantization_dtype")


def write(file: Path, folder: Path) -> None:
    """Make `folder`, whole or not at all."""
    at, name = file.parent, file.name
    packed = AutoModelForCausalLM.from_pretrained(at, gguf_file=name, dtype=torch.bfloat16)  # on disk  # nosec B615
    for field in OF_PACKED_WEIGHTS:
        if hasattr(packed.config, field):
            delattr(packed.config, field)
    plain = AutoModelForCausalLM.from_config(packed.config, dtype=torch.bfloat16)
    plain.load_state_dict(packed.state_dict())
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        whole = Path(beside) / "whole"
        plain.save_pretrained(whole)
        AutoTokenizer.from_pretrained(at, gguf_file=name).save_pretrained(whole)  # on disk  # nosec B615
        whole.rename(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
