"""The default model's numbers against transformers'."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import transformers

from inference.executor.base import Executor, Segment
from inference.executor.fused_executor import FusedExecutor
from inference.executor.torch_executor import TorchExecutor
from inference.kernels.build import KernelsUnavailableError, find_compiler
from inference.tokenizer import load_tokenizer
from inference.weights import WeightSource, open_weights

QUESTIONS = ("What is the capital of France?", "用中文介绍一下北京。", "Write a line of Python that adds 2 and 3.")
REPLY_TOKENS = 20
POSITIONS = 128
NEAR_TIE = 0.25
"""Logits. bfloat16 keeps 8 bits: sums of the size of these logits (about 15) move by several hundredths, and the
difference of two of them by more."""

Reference = transformers.PreTrainedModel


@pytest.fixture(scope="module")
def source(default_model: Path) -> WeightSource:
    return open_weights(default_model)


@pytest.fixture(scope="module")
def prompts(source: WeightSource) -> list[list[int]]:
    tokenizer = load_tokenizer(source)
    return [tokenizer.encode_messages([{"role": "user", "content": question}]) for question in QUESTIONS]


@pytest.fixture(scope="module")
def reference(source: WeightSource) -> Reference:
    """transformers' own model around our reading of the file; tests/bench compares the readings of the file."""
    config = source.config
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.kv_heads,
            rms_norm_eps=config.norm_epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
            tie_word_embeddings=True,
        )
    ).eval()
    weights = {name: source.load(name).float() for name in source.names()}
    model.load_state_dict(weights | {"lm_head.weight": weights["model.embed_tokens.weight"]}, strict=True)
    return model


@pytest.fixture(scope="module", params=["kernels", "torch"])
def bfloat16(request: pytest.FixtureRequest, source: WeightSource) -> Executor:
    if request.param == "torch":
        return TorchExecutor(source, slots=1, positions=POSITIONS, precision="bfloat16")
    try:
        find_compiler()
    except KernelsUnavailableError:
        pytest.skip("needs a C++ compiler")
    return FusedExecutor(source, slots=1, positions=POSITIONS, threads=2, quantised=False)


@torch.inference_mode()
def logits_of(model: Reference, tokens: Sequence[int]) -> torch.Tensor:
    logits: torch.Tensor = model(torch.tensor([tokens])).logits[0].float()
    return logits


def every_logit(executor: Executor, tokens: Sequence[int]) -> torch.Tensor:
    return executor.forward([Segment(0, 0, tokens, logits=len(tokens))])


def continued(executor: Executor, prompt: Sequence[int]) -> list[int]:
    """`prompt` and what the executor greedily adds, a token a step as when serving."""
    tokens = list(prompt)
    row = executor.forward([Segment(0, 0, tokens)])[0]
    for _ in range(REPLY_TOKENS):
        tokens.append(int(row.argmax()))
        row = executor.forward([Segment(0, len(tokens) - 1, tokens[-1:])])[0]
    return tokens


def divergence(expected: torch.Tensor, ours: torch.Tensor) -> float:
    """Mean Kullback-Leibler divergence of next-token distributions, in nats."""
    true, approximate = expected.log_softmax(-1), ours.log_softmax(-1)
    return float((true.exp() * (true - approximate)).sum(-1).mean())


def test_float32_logits_are_those_of_transformers(
    source: WeightSource, prompts: list[list[int]], reference: Reference
) -> None:
    executor = TorchExecutor(source, slots=1, positions=POSITIONS, precision="float32")
    for prompt in prompts:
        torch.testing.assert_close(every_logit(executor, prompt), logits_of(reference, prompt), atol=1e-3, rtol=0)


def test_bfloat16_replies_leave_float32_only_at_near_ties(
    bfloat16: Executor, prompts: list[list[int]], reference: Reference
) -> None:
    same = chosen = 0
    for prompt in prompts:
        tokens = continued(bfloat16, prompt)
        rows = logits_of(reference, tokens)[len(prompt) - 1 : -1]
        picks = torch.tensor(tokens[len(prompt) :])
        lost = rows.amax(-1) - rows.gather(1, picks.unsqueeze(1)).squeeze(1)
        assert lost.max() < NEAR_TIE
        same += int((lost == 0).sum())
        chosen += len(picks)
    assert same / chosen >= 0.95


def test_bfloat16_is_no_further_from_float32_than_transformers_is_in_bfloat16(
    bfloat16: Executor, prompts: list[list[int]], reference: Reference
) -> None:
    text = [token for prompt in prompts for token in prompt][:POSITIONS]
    exact = logits_of(reference, text)
    theirs = logits_of(copy.deepcopy(reference).bfloat16(), text)
    assert divergence(exact, every_logit(bfloat16, text)) < divergence(exact, theirs)
