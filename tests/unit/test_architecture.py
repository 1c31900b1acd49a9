"""docs/architecture.md leads through the code by names of files: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATH = re.compile(r"`([\w./-]+\.(?:py|js|css|html|md|yaml|toml|txt))`")


def test_every_file_that_is_named_is_there() -> None:
    named = set(PATH.findall((ROOT / "docs" / "architecture.md").read_text()))
    assert len(named) > 30
    packages = [path for path in ROOT.iterdir() if (path / "__init__.py").exists()]
    missing = [
        name
        for name in named
        if not (ROOT / name).exists() and not any(next(each.rglob(name), None) for each in packages)
    ]
    assert missing == []
