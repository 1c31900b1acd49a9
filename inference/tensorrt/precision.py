"""In what numbers a plan stores and computes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from inference.errors import InferenceError

LARGEST_FP8 = torch.finfo(torch.float8_e4m3fn).max


@dataclass(frozen=True)
class Precision:
    """`activations` is the type of products and of the cache; `weights` names how matrices are stored, if otherwise.

    With weights in `fp8`, what they are multiplied by is rounded to FP8 too, and the product is one of FP8. Weights of
    4 bits (`int4`) are read inside the product only when they are constants: such a plan belongs to one checkpoint.
    """

    name: str
    activations: torch.dtype
    weights: str = ""

    @property
    def head(self) -> torch.dtype:
        """The type of the output projection. bfloat16 keeps 8 bits of a logit, and near-ties flip; float16 keeps 11."""
        return torch.float32 if self.activations == torch.float32 else torch.float16

    @property
    def holds_the_checkpoint(self) -> bool:
        """The plan holds weights itself, so another checkpoint takes another plan."""
        return self.weights == "int4"

    @property
    def is_for_checking_only(self) -> bool:
        """TensorRT has no fused attention in float32: such a network is interpreted, never built."""
        return self.activations == torch.float32


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("float32", torch.float32),
        Precision("float16", torch.float16),
        Precision("bfloat16", torch.bfloat16),
        Precision("float16-int8", torch.float16, "int8"),
        Precision("bfloat16-int8", torch.bfloat16, "int8"),
        Precision("float16-fp8", torch.float16, "fp8"),
        Precision("bfloat16-fp8", torch.bfloat16, "fp8"),
        Precision("float16-int4", torch.float16, "int4"),
        Precision("bfloat16-int4", torch.bfloat16, "int4"),
    )
}
STORED = {"quantised": "-int8", "fp8": "-fp8", "int4": "-int4"}
"""How INFERENCE_PRECISION names weights that are smaller than 16 bits, and how the precisions here do."""


def precision_named(name: str) -> Precision:
    """The precision called `name`, as PRECISIONS does. Raises InferenceError."""
    if name not in PRECISIONS:
        raise InferenceError(f"There is no precision '{name}'; choose one of {', '.join(PRECISIONS)}.")
    return PRECISIONS[name]


def precision_for(setting: str, half: str) -> str:
    """The precision that INFERENCE_PRECISION asks for where `half` is the 16-bit type; other names stay as they are."""
    if setting == "auto":
        return half
    return f"{half}{STORED[setting]}" if setting in STORED else setting
