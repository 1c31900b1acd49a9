"""Matrix products with fixed weights, behind one call, so that the model does not know how they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch user knows


class Linear(Protocol):
    """`x` [tokens, inputs], float32 -> [tokens, outputs], float32 or the working precision."""

    outputs: int

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


class DenseLinear:
    """The plain product in the dtype of its weight [outputs, inputs]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype) -> None:
        self.weight = weight.to(dtype).contiguous()
        self.bias = None if bias is None else bias.to(dtype)
        self.outputs = weight.shape[0]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


def can_pack_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 on this processor: x86 needs AVX-512, of which many have none."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class PackedLinear:
    """bfloat16 weights in oneDNN's own layout: nothing is reordered at each call. Needs `can_pack_bfloat16()`."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self.outputs = weight.shape[0]
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(torch.bfloat16).contiguous(), None)
        self.bias = None if bias is None else bias.to(torch.bfloat16)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            x.to(torch.bfloat16), self.packed, self.bias, "none", [], ""
        )
        return product


def stack(tensors: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """The tensors joined along the outputs; None when there are none (biases)."""
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(present) if present else None
