"""Our reading of the default model's file beside transformers', which takes half a minute for it."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from inference.fetch import fetch
from inference.weights import open_weights

ROOT = Path(__file__).parents[3]


def test_every_weight_is_the_one_that_transformers_reads() -> None:
    folder = fetch(ROOT / "var" / "models")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", dtype=torch.float32)
    weights = theirs.state_dict()
    ours = open_weights(folder)
    assert ours.names() | {"lm_head.weight"} == set(weights)
    for name in ours.names():
        assert torch.equal(ours.load(name).float(), weights[name]), name
