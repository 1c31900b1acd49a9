"""Small models that the real server can load beside the default one."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers

from inference.tokenizer import load_tokenizer
from inference.weights import open_weights

PLAIN_TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"


def write_small_model(
    folder: Path, default_model: Path, *, template: str = PLAIN_TEMPLATE, is_spoilt: bool = False
) -> Path:
    """A random Llama of two layers with the default model's tokenizer; `is_spoilt` makes it compute NaN."""
    tokenizer = load_tokenizer(open_weights(default_model))
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=tokenizer.vocabulary,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    model = transformers.LlamaForCausalLM(config)
    if is_spoilt:
        with torch.no_grad():
            model.model.norm.weight.fill_(torch.nan)
    model.save_pretrained(folder)
    tokenizer.backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, "eos_token": "<|im_end|>"}))
    return folder
