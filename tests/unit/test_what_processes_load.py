"""What the processes that answer people load at their start: Arrow is for the few workers that write data sets."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WEB = "from django.urls import get_resolver; import config.asgi; get_resolver().url_patterns"
WORKER = "from config.celery import app; app.loader.import_default_modules(); app.tasks['feedback.tasks.build_release']"


@pytest.mark.parametrize("process", [WEB, WORKER], ids=["web", "worker"])
def test_it_starts_without_arrow(process: str) -> None:
    program = f"import sys, django; django.setup(); {process}; print(*sys.modules)"
    surroundings = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    started = subprocess.run(
        [sys.executable, "-c", program], env=surroundings, capture_output=True, text=True, check=True
    )
    loaded = started.stdout.split()
    assert "feedback.release.erasing" in loaded
    assert not {"pyarrow", "pandas", "datasets"} & set(loaded)
