"""Rotary position embeddings: the angles of every position, for the scaling variants in use."""

from __future__ import annotations

import math

import torch

from inference.config import ModelConfig, rope_type


def tables(
    config: ModelConfig, positions: int, factors: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines, float32 [positions, head_size / 2].

    `factors` [head_size / 2], which a GGUF file may carry, divide the frequencies.
    """
    frequencies, attention_factor = inverse_frequencies(config)
    if factors is not None:
        frequencies = frequencies / factors.float()
    angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies)
    return angles.cos() * attention_factor, angles.sin() * attention_factor


def inverse_frequencies(config: ModelConfig) -> tuple[torch.Tensor, float]:
    """Angle per position of each pair of dimensions, and the factor on attention (1 except for YaRN)."""
    size = config.head_size
    plain = 1.0 / config.rope_base ** (torch.arange(0, size, 2, dtype=torch.int64).float() / size)
    match rope_type(config.rope_scaling):
        case "linear":
            return plain / float(config.rope_scaling["factor"]), 1.0
        case "llama3":
            return _llama3(plain, config), 1.0
        case "yarn":
            return _yarn(plain, config)
        case _:
            return plain, 1.0


def _llama3(plain: torch.Tensor, config: ModelConfig) -> torch.Tensor:
    """Llama 3.1: short waves stay, long waves are stretched by `factor`, those between are blended."""
    scaling = config.rope_scaling
    factor = float(scaling["factor"])
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    original = float(scaling["original_max_position_embeddings"])
    turns = original * plain / (2 * math.pi)
    blend = ((turns - low) / (high - low)).clamp(0.0, 1.0)
    return (1 - blend) * plain / factor + blend * plain


def _yarn(plain: torch.Tensor, config: ModelConfig) -> tuple[torch.Tensor, float]:
    """YaRN (https://arxiv.org/abs/2309.00071): a ramp over dimensions from extrapolation to interpolation."""
    scaling = config.rope_scaling
    original = int(scaling.get("original_max_position_embeddings") or config.window)
    factor = float(scaling.get("factor") or config.window / original)
    size = config.head_size

    def dimension(turns: float) -> float:
        """The dimension whose wave makes `turns` turns over the original window."""
        return size * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(config.rope_base))

    low, high = dimension(float(scaling.get("beta_fast") or 32)), dimension(float(scaling.get("beta_slow") or 1))
    if scaling.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, size - 1)
    if low == high:
        high += 0.001
    interpolated = ((torch.arange(size // 2, dtype=torch.float32) - low) / (high - low)).clamp(0.0, 1.0)
    frequencies = plain / factor * interpolated + plain * (1 - interpolated)
    return frequencies, _yarn_attention_factor(config, factor)


def _yarn_attention_factor(config: ModelConfig, factor: float) -> float:
    scaling = config.rope_scaling
    if scaling.get("attention_factor") is not None:
        return float(scaling["attention_factor"])

    def magnitude(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    one, all_dimensions = scaling.get("mscale"), scaling.get("mscale_all_dim")
    if one and all_dimensions:
        return magnitude(float(one)) / magnitude(float(all_dimensions))
    return magnitude(1.0)
