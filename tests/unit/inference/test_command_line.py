"""`--help` is short, whole, and there at once: it loads neither torch nor TensorRT."""

from __future__ import annotations

import subprocess
import sys

import pytest

from inference.__main__ import parser

COMMANDS = ("serve", "fetch", "build", "gpu-check", "bench")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_screen_and_shows_how(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        parser().parse_args([command, "--help"] if command else ["--help"])
    assert ending.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 45
    assert max(map(len, lines)) <= 110
    assert any(line.startswith(f"  python -m inference {command}") for line in lines)


def test_examples_are_commands_that_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    examples = 0
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            parser().parse_args([command, "--help"])
        for line in capsys.readouterr().out.splitlines():
            words = line.split("#")[0].split()
            if line.startswith("  ") and "inference" in words:
                parser().parse_args(words[words.index("inference") + 1 :])
                examples += 1
    assert examples >= 2 * len(COMMANDS)


def test_asking_for_help_loads_no_torch() -> None:
    program = "import sys; from inference.__main__ import parser; parser(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "tensorrt", "tensorrt_rtx"} & set(loaded)
