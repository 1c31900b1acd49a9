"""Our arithmetic against transformers', on tiny random checkpoints of every family, in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from inference.executor.base import Segment
from inference.executor.torch_executor import TorchExecutor
from inference.weights import open_weights

COMMON: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_theta": 500.0,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 10000.0}
LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama, tied head": ("Llama", {"tie_word_embeddings": True}),
    "llama, biases everywhere": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, rope llama3": ("Llama", {"rope_parameters": LLAMA3}),
    "llama, rope linear": ("Llama", {"rope_parameters": LINEAR}),
    "llama, rope yarn": ("Llama", {"rope_parameters": YARN}),
    "llama, heads wider than the model": ("Llama", {"head_dim": 16}),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral, sliding window": ("Mistral", {"sliding_window": 7}),
    "qwen2": ("Qwen2", {}),
    "qwen2, upper layers slide": (
        "Qwen2",
        {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", {"head_dim": 16}),
    "qwen3, tied head, yarn": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True, "rope_parameters": YARN}),
}


def save_random_checkpoint(
    directory: Path, family: str, overrides: dict[str, Any], *, seed: int = 7, **saving: Any
) -> Any:
    """A checkpoint whose norms and biases are random, too: ones and zeros would hide mistakes."""
    torch.manual_seed(seed)
    config = getattr(transformers, f"{family}Config")(**{**COMMON, **overrides})
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.copy_(torch.randn_like(parameter) * 0.3 + ("norm" in name))
            else:
                parameter.mul_(4.0)
    model.save_pretrained(directory, **saving)
    return model


@pytest.fixture(params=list(CASES))
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path]:
    family, overrides = CASES[request.param]
    return save_random_checkpoint(tmp_path, family, overrides), tmp_path


def reference_logits(model: Any, tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([tokens])).logits[0].float()
    return logits


def test_logits_agree_in_one_pass_and_in_pieces(checkpoint: tuple[Any, Path]) -> None:
    model, path = checkpoint
    tokens = torch.randint(0, 97, (40,), generator=torch.Generator().manual_seed(3)).tolist()
    expected = reference_logits(model, tokens)
    executor = TorchExecutor(open_weights(path), slots=3, positions=64, precision="float32")

    whole = executor.forward([Segment(0, 0, tokens, logits=40)])
    torch.testing.assert_close(whole, expected, atol=1e-3, rtol=0)

    executor.forward([Segment(1, 0, tokens[:11], logits=0)])
    chunk = executor.forward([Segment(1, 11, tokens[11:30], logits=19)])
    torch.testing.assert_close(chunk, expected[11:30], atol=1e-3, rtol=0)
    for position in range(30, 40):
        step = executor.forward([Segment(1, position, [tokens[position]])])
        torch.testing.assert_close(step[0], expected[position], atol=1e-3, rtol=0)


def test_a_batch_of_strangers_gives_each_its_own_logits(checkpoint: tuple[Any, Path]) -> None:
    model, path = checkpoint
    executor = TorchExecutor(open_weights(path), slots=3, positions=64, precision="float32")
    generator = torch.Generator().manual_seed(5)
    prompts = [torch.randint(0, 97, (length,), generator=generator).tolist() for length in (25, 3, 14)]

    executor.forward([Segment(slot, 0, prompt[:-1], logits=0) for slot, prompt in enumerate(prompts)])
    rows = executor.forward([Segment(slot, len(prompt) - 1, prompt[-1:]) for slot, prompt in enumerate(prompts)])

    for row, prompt in zip(rows, prompts, strict=True):
        torch.testing.assert_close(row, reference_logits(model, prompt)[-1], atol=1e-3, rtol=0)


def test_a_copied_prefix_goes_on_like_the_original(tmp_path: Path) -> None:
    model = save_random_checkpoint(tmp_path, "Llama", {})
    executor = TorchExecutor(open_weights(tmp_path), slots=2, positions=64, precision="float32")
    tokens = list(range(30))
    executor.forward([Segment(0, 0, tokens[:20], logits=0)])
    executor.copy_prefix(source=0, target=1, length=20)
    executor.release(0)
    row = executor.forward([Segment(1, 20, tokens[20:])])[0]
    torch.testing.assert_close(row, reference_logits(model, tokens)[-1], atol=1e-3, rtol=0)


def test_a_sharded_checkpoint_is_read_like_a_whole_one(tmp_path: Path) -> None:
    model = save_random_checkpoint(tmp_path, "Qwen2", {}, max_shard_size="60KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    executor = TorchExecutor(open_weights(tmp_path), slots=1, positions=64, precision="float32")
    row = executor.forward([Segment(0, 0, [5, 6, 7])])[0]
    torch.testing.assert_close(row, reference_logits(model, [5, 6, 7])[-1], atol=1e-3, rtol=0)
