"""Links to the files of a release: signed, for one person, for an hour, and every use is written down."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing
from django.urls import reverse

from accounts.models import User
from feedback.release import store, verify
from feedback.release.models import MAY_RELEASE, Release
from feedback.release.store import MANIFEST
from feedback.release.uses import ReleaseDownload

SECONDS = 3600
_SALT = "release-file"


class NoSuchFile(ValueError):  # noqa: N818
    """The link is not ours, has expired, or its file is gone."""


@dataclass(frozen=True)
class Link:
    """One file with the address that gives it to the person it was made for."""

    path: str
    url: str
    rows: int
    bytes: int


def links(release: Release, *, user: User) -> list[Link]:
    """Every file of a sealed release, the manifest last; none when its manifest is gone or was changed."""
    try:
        listed = verify.manifest_of(release)["files"]
    except (FileNotFoundError, verify.BrokenManifestError):
        return []
    files = [*listed, {"path": MANIFEST, "rows": 0, "bytes": 0}]
    return [
        Link(file["path"], _url(release, file["path"], user), file["rows"], file["bytes"])
        for file in files
        if file["path"]
    ]


def opened(token: str, *, address: str | None, now: datetime) -> tuple[str, Any]:
    """(name, open file) behind a link, its use written down. Raises `NoSuchFile`."""
    try:
        release_id, path, user_id = signing.loads(token, salt=_SALT, max_age=SECONDS)
    except signing.BadSignature as bad:
        raise NoSuchFile from bad
    release = Release.objects.filter(pk=uuid.UUID(release_id), state=Release.State.SEALED).first()
    reader = User.objects.filter(pk=uuid.UUID(user_id), is_active=True).first()
    if release is None or reader is None or not reader.has_perm(MAY_RELEASE):
        raise NoSuchFile
    try:
        file = store.reading(f"{release.folder}/{path}")
    except FileNotFoundError as gone:
        raise NoSuchFile from gone
    ReleaseDownload.objects.create(release=release, user=reader, path=path, address=address, at=now)
    return f"{release.folder}-{path}".replace("/", "-"), file


def _url(release: Release, path: str, user: User) -> str:
    return reverse("release-file", args=[signing.dumps([str(release.pk), path, str(user.pk)], salt=_SALT)])
