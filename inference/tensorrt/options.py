"""The options of `build`, apart from the building so that `--help` need not load torch."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_build_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `python -m inference build`."""
    command.add_argument("--model", type=Path, metavar="PATH", help="a model, or a folder with its config.json alone")
    command.add_argument("--sm", type=int, metavar="N", help="compute capability, 89 for 8.9; default: this GPU")
    command.add_argument("--max-batch", type=int, default=64, metavar="N", help="replies at once; default: 64")
    command.add_argument("--max-len", type=int, default=4096, metavar="N", help="tokens of a sequence; default: 4096")
    command.add_argument("--max-chunk", type=int, default=512, metavar="N", help="tokens of a prefill; default: 512")
    command.add_argument(
        "--precision", default="bfloat16", metavar="NAME", help="float16, bfloat16, or either with -int8, -fp8 or -int4"
    )
    command.add_argument(
        "--package",
        choices=["tensorrt", "tensorrt_rtx"],
        default="",
        metavar="NAME",
        help="tensorrt or tensorrt_rtx; default: what is here",
    )
    command.add_argument("--plans", type=Path, metavar="DIR", help="where plans are kept; default: var/plans")
    command.add_argument("--list", action="store_true", help="show the plans there are")
    command.add_argument("--prune", type=megabytes, nargs="?", const=0, metavar="MB", help="remove all, or down to MB")


def megabytes(text: str) -> int:
    if (size := int(text)) < 0:
        raise ValueError(text)
    return size


def add_check_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `python -m inference gpu-check`."""
    command.add_argument("--model", type=Path, metavar="PATH", help="a model; default: the default model")
    command.add_argument("--way", choices=["tensorrt", "cuda", "interpreter"], default="tensorrt", help="what to check")
    command.add_argument("--precision", default="auto", metavar="NAME", help="default: what suits the GPU")
    command.add_argument("--max-batch", type=int, default=32, metavar="N", help="replies at once; default: 32")
    command.add_argument("--max-len", type=int, default=2048, metavar="N", help="tokens of a sequence; default: 2048")
    command.add_argument("--short", action="store_true", help="only what the service asks before it turns ready")
    command.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON")
