"""Write the files of a frozen release. The manifest comes last: a folder without one is not a release."""

from __future__ import annotations

import json
import logging
import uuid
from datetime import datetime
from typing import Any

from django.db import transaction

from feedback.models import Release, ReleaseRow
from feedback.release import store
from feedback.release.card import card
from feedback.release.files import SCHEMAS, File, parquet

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"


def build(release_id: uuid.UUID, *, now: datetime) -> None:
    """Make a queued or half-made release whole; a sealed one stays as it is. The same rows give the same bytes."""
    release = Release.objects.get(pk=release_id)
    if release.state == Release.State.SEALED:
        return
    unsealed = Release.objects.filter(pk=release.pk).exclude(state=Release.State.SEALED)
    unsealed.update(state=Release.State.BUILDING, error="", rows_done=0)
    try:
        _write(release, now)
    except Exception as error:
        unsealed.update(state=Release.State.FAILED, error=f"{type(error).__name__}: {error}")
        raise


def _write(release: Release, now: datetime) -> None:
    written: list[File] = []
    for config in SCHEMAS:
        for split in ("train", "test"):
            rows = ReleaseRow.objects.filter(release=release, config=config, split=split).order_by("row_id")
            shard = [{"id": row.row_id, **row.content} for row in rows.iterator(chunk_size=2000)]
            if shard:
                written.append(_put(release, parquet(config, split, shard)))
                Release.objects.filter(pk=release.pk).update(rows_done=sum(file.rows for file in written))
    readme = card(name=release.name, folder=release.folder, files=written, counts=release.counts)
    others = [_put(release, File("README.md", readme.encode(), 0))]
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in [*written, *others])
    others.append(_put(release, File("SHA256SUMS", sums.encode(), 0)))
    manifest = _put(release, File(MANIFEST, _manifest(release, written, others), 0))
    with transaction.atomic():
        Release.objects.filter(pk=release.pk).update(
            state=Release.State.SEALED, manifest_sha256=manifest.sha256, finished_at=now
        )


def _put(release: Release, file: File) -> File:
    store.write(f"{release.folder}/{file.path}", file.data)
    return file


def _manifest(release: Release, shards: list[File], others: list[File]) -> bytes:
    content: dict[str, Any] = {
        "name": "chatpref",
        "version": release.name,
        "content_sha256": release.content_sha256,
        "created_at": release.created_at.isoformat(),
        "specification": release.specification,
        "funnel": release.counts,
        "files": [
            {"path": file.path, "rows": file.rows, "bytes": len(file.data), "sha256": file.sha256}
            for file in [*shards, *others]
        ],
    }
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
