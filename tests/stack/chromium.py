"""Finds Chromium; `python -m tests.stack.chromium` installs Debian's when there is none, or says what to install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """The path of a Chromium: `CHROMIUM` in the environment, a package's, or one that Playwright installed."""
    given = os.environ.get("CHROMIUM")
    if given:
        return given
    for name in NAMES:
        if path := shutil.which(name):
            return path
    own = sorted(Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"))
    return str(own[-1]) if own else None


def install() -> int:
    if find():
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("No Chromium here: installing Debian's for the browser tests.", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.call(["apt-get", "update", "-q"], env=environment)
        if subprocess.call(["apt-get", "install", "-y", "-q", "chromium"], env=environment) == 0:
            return 0
    print(
        "The browser tests need Chromium. Install it as root:\n"
        "    apt install chromium\n"
        "or, without root:\n"
        "    .venv/bin/playwright install chromium\n"
        "or name one you have: make test CHROMIUM=/path/to/chromium",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(install())
