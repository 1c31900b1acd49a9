"""Hold a release against its manifest, and two releases against each other."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db import connection

from feedback.release import store
from feedback.release.models import Release, ReleaseChunk
from feedback.release.store import MANIFEST

PIECE_BYTES = 1024 * 1024

_DIFFERENCE = """
SELECT COALESCE(old.config, new.config) AS config,
    count(*) FILTER (WHERE old.row_id IS NULL), count(*) FILTER (WHERE new.row_id IS NULL),
    count(*) FILTER (WHERE old.row_id = new.row_id)
FROM (SELECT config, row_id FROM feedback_releaserow WHERE release_id = %s) old
FULL JOIN (SELECT config, row_id FROM feedback_releaserow WHERE release_id = %s) new USING (config, row_id)
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Difference:
    """Of one config how many rows one release has more than the other, and how many both have."""

    config: str
    added: int
    removed: int
    kept: int


class BrokenManifestError(ValueError):
    """The manifest of a sealed release is not the one that was written."""


def manifest_of(release: Release) -> dict[str, Any]:
    """The parsed manifest. Raises `FileNotFoundError` when the release is not whole, and `BrokenManifestError`."""
    raw = store.read(f"{release.folder}/{MANIFEST}")
    if hashlib.sha256(raw).hexdigest() != release.manifest_sha256:
        raise BrokenManifestError(f"the manifest of {release.name} was changed")
    parsed: dict[str, Any] = json.loads(raw)
    return parsed


def problems(release: Release) -> list[str]:
    """What is wrong with the files of a sealed release; empty when nothing is."""
    if release.state == Release.State.SUPERSEDED:
        return [f"{release.name} was replaced, and its files deleted, because somebody withdrew their words"]
    if release.state != Release.State.SEALED:
        return [f"{release.name} was not made to its end: it is {release.state}"]
    try:
        entries = manifest_of(release)["files"]
    except FileNotFoundError:
        return ["the manifest is missing"]
    except BrokenManifestError:
        return ["the manifest was changed, so nothing can be held against it"]
    found = []
    for entry in entries:
        try:
            if _sha256_of(f"{release.folder}/{entry['path']}") != entry["sha256"]:
                found.append(f"{entry['path']} was changed")
        except FileNotFoundError:
            found.append(f"{entry['path']} is missing")
    known = {entry["path"] for entry in entries} | {MANIFEST}
    return found + [f"{path} is not in the manifest" for path in store.paths(release.folder) if path not in known]


def differences(*, old: Release, new: Release) -> list[Difference]:
    """What changed from one release to another, config by config."""
    if old.origin == new.origin:
        return _forgotten(old, new)
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENCE, [old.origin.pk, new.origin.pk])
        return [Difference(*row) for row in cursor.fetchall()]


def _forgotten(old: Release, new: Release) -> list[Difference]:
    """Two of one origin differ by what the later one forgot, told by the files alone."""
    rows = [Counter[str](), Counter[str]()]
    for counted, release in zip(rows, (old, new), strict=True):
        for chunk in release.chunks.filter(stage=ReleaseChunk.Stage.FILES):
            counted[chunk.config] += chunk.rows
    before, after = rows
    return [
        Difference(config, max(0, after[config] - before[config]), max(0, before[config] - after[config]), kept)
        for config, kept in sorted((config, min(before[config], after[config])) for config in before | after)
    ]


def _sha256_of(path: str) -> str:
    digest = hashlib.sha256()
    with store.reading(path) as source:
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
