"""Every variable that Django's settings read is told to operators."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_operations_lists_every_variable_of_the_settings() -> None:
    settings = (ROOT / "config" / "settings.py").read_text()
    variables = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', settings))
    told = set(re.findall(r"\b[A-Z][A-Z_]+\b", (ROOT / "docs" / "operations.md").read_text()))
    assert len(variables) > 40
    assert variables - told == set()
