"""Hold a release against its manifest."""

from __future__ import annotations

import hashlib
import json

from feedback.models import Release
from feedback.release import store
from feedback.release.build import MANIFEST


def manifest_of(release: Release) -> dict[str, object]:
    """The parsed manifest. Raises `FileNotFoundError` when the release is not whole."""
    parsed: dict[str, object] = json.loads(store.read(f"{release.folder}/{MANIFEST}"))
    return parsed


def problems(release: Release) -> list[str]:
    """What is wrong with the files of a sealed release; empty when nothing is."""
    try:
        raw = store.read(f"{release.folder}/{MANIFEST}")
    except FileNotFoundError:
        return ["the manifest is missing"]
    found = [] if hashlib.sha256(raw).hexdigest() == release.manifest_sha256 else ["the manifest was changed"]
    for entry in json.loads(raw)["files"]:
        try:
            data = store.read(f"{release.folder}/{entry['path']}")
        except FileNotFoundError:
            found.append(f"{entry['path']} is missing")
            continue
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            found.append(f"{entry['path']} was changed")
    return found
