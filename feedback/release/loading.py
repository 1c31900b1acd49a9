"""Open a release as whoever trains does, with `datasets`, and remember what came of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import datetime

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from feedback.release import shards, store, verify
from feedback.release.models import Release
from feedback.release.uses import LoadCheck

# Millions of rows are written once more where they are opened.
LONGEST_SECONDS = 1_800

Rows = dict[str, dict[str, int]]
"""How many, by config and split."""


class NotLoadedError(Exception):
    """It cannot be opened, or not as it was written; `str()` says why, in English."""


def check(release: Release, *, now: datetime) -> LoadCheck:
    """Open every config of a sealed release, which takes the `train` extra; what came of it last time is forgotten."""
    found, _is_new = LoadCheck.objects.get_or_create(release=release, defaults={"asked_at": now})
    try:
        found.rows, found.error = _opened(release), ""
    except NotLoadedError as error:
        found.rows, found.error = {}, str(error)
    found.checked_at = timezone.now()
    found.save()
    return found


def _opened(release: Release) -> Rows:
    try:
        from datasets import load_dataset
    except ImportError as missing:
        raise NotLoadedError("This needs the `train` extra: pip install parley[train]") from missing
    if found := verify.problems(release):
        raise NotLoadedError("; ".join(found))
    written, rows = _written(release), Rows()
    # `datasets` keeps a copy of all that it opens: of words that may have to go, none may be left anywhere.
    with store.local(release.folder) as folder, tempfile.TemporaryDirectory(prefix="parley-opened-") as cache:
        for config in written:
            try:
                opened = load_dataset(folder, config, cache_dir=cache)  # a folder of our own  # nosec B615
            except Exception as error:  # whatever pandas, Arrow or it make of a file
                raise NotLoadedError(f"{config}: {error}") from error
            rows[config] = {str(split): part.num_rows for split, part in opened.items()}
    if rows != written:
        raise NotLoadedError(f"opened as {rows}, and written were {written}")
    return rows


def _written(release: Release) -> Rows:
    found: Rows = {}
    steps = release.chunks.filter(stage="files", rows__gt=0).exclude(config=shards.TREES)
    for config, split, count in steps.values_list("config", "split").annotate(Sum("rows")).order_by("config"):
        found.setdefault(config, {})[split] = count
    return found


def check_apart(release: Release) -> None:
    """The same in a process of its own, which takes what `datasets` brings into memory with it when it ends."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "release", "load-check", str(release.version)]
    began = timezone.now()
    # One that is killed clears nothing away, so what it copies lies in a folder of ours.
    with tempfile.TemporaryDirectory(prefix="parley-opening-", ignore_cleanup_errors=True) as copies:
        environment = {**os.environ, "TMPDIR": copies}
        try:
            ended = subprocess.run(  # noqa: S603
                command, timeout=LONGEST_SECONDS, env=environment, capture_output=True, text=True, check=False
            )
            why = ended.stderr.strip()[-500:]
        except subprocess.TimeoutExpired:
            why = f"it was not open after {LONGEST_SECONDS} s"
    # What the process has to say it says there itself, unless it was killed.
    unsaid = LoadCheck.objects.filter(release=release).exclude(checked_at__gte=began)
    unsaid.update(checked_at=timezone.now(), rows={}, error=why or "the process that opened it was killed")
