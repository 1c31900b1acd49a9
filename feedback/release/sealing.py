"""The last step of a release: the files about the files, and at the very end the manifest that makes it one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from feedback.release import store, tables
from feedback.release.card import SPLIT_RULE, card, shards_of, trees_of
from feedback.release.croissant import croissant
from feedback.release.measures import COMPARED, biases
from feedback.release.models import Release, ReleaseChunk
from feedback.release.recipes import recipes
from feedback.release.shards import File
from feedback.release.store import MANIFEST

SUMS = "SHA256SUMS"


def files_of(release: Release) -> list[File]:
    """What the steps before have written, in the order of their names."""
    chunks = release.chunks.filter(stage=ReleaseChunk.Stage.FILES)
    return sorted((File(**entry) for chunk in chunks for entry in chunk.files), key=lambda file: file.path)


def measured(release: Release, files: Sequence[File]) -> dict[str, Any]:
    """How far reviewers agreed, and how far position and length speak in what was preferred."""
    shards = shards_of(files)
    written = {
        config: [file.lengths for parts in shards.get(config, {}).values() for file in parts] for config in COMPARED
    }
    return {"agreement": release.agreement or None, "bias": biases(written)}


def seal(release: Release, files: Sequence[File], *, tombstones: Sequence[str] = ()) -> str:
    """Write what describes the files, and the manifest last; returns the manifest's SHA-256. Twice gives the same."""
    folder, shards = release.folder, shards_of(files)
    licence, shape = release.specification.get("licence", ""), release.specification["shape_version"]
    about = {
        "README.md": card(
            name=release.name,
            folder=folder,
            licence=licence,
            shape=shape,
            files=files,
            counts=release.counts,
            measured=measured(release, files),
        ),
        "croissant.json": croissant(
            name=release.name,
            folder=folder,
            published=f"{release.created_at:%Y-%m-%d}",
            licence=licence,
            shards=shards,
            trees=trees_of(files),
        ),
        **recipes(folder, shards),
    }
    every = [*files, *(_put(folder, path, text) for path, text in sorted(about.items()))]
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in every)
    every.append(_put(folder, SUMS, sums))
    _clear(folder, keep={file.path for file in every} | {MANIFEST})
    return _put(folder, MANIFEST, _manifest(release, every, tombstones)).sha256


def _put(folder: str, path: str, text: str) -> File:
    with store.writing(f"{folder}/{path}") as sink:
        sink.write(text.encode())
    return File(path, 0, sink.bytes, sink.sha256)


def _clear(folder: str, *, keep: set[str]) -> None:
    """Remove what workers that died have left half-written."""
    for path in store.paths(folder):
        if path not in keep:
            store.remove(f"{folder}/{path}")


def _manifest(release: Release, files: Sequence[File], tombstones: Sequence[str]) -> str:
    content: dict[str, Any] = {
        "name": "chatpref",
        "version": release.name,
        "parent": release.parent.name if release.parent else None,
        "content_sha256": release.content_sha256,
        "membership_sha256": release.membership_sha256,
        "horizon": release.horizon,
        "frozen_at": release.created_at.isoformat(),
        "specification": release.specification,
        "specification_sha256": release.specification_sha256,
        "funnel": release.counts,
        "measures": measured(release, files),
        "splits": {"rule": SPLIT_RULE, "never_in_two": ["person", "near-duplicate prompt", "near-duplicate row"]},
        "schemas": {
            config: tables.fingerprint(config, release.specification["shape_version"]) for config in shards_of(files)
        },
        "files": [file.listed for file in files],
        "tombstones": list(tombstones),
    }
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
