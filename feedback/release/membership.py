"""Freeze what is in a release, as rows, in one transaction; its files are made from them alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Max

from accounts.models import User
from feedback.models import Release, ReleaseRow
from feedback.release import rules
from feedback.release.rules import Row

TEST_SHARE = 0.1


class NothingToRelease(ValueError):  # noqa: N818
    """No rating may be used; `funnel` says why."""

    def __init__(self, funnel: Counter[str]) -> None:
        super().__init__("no rating is approved with consent")
        self.funnel = funnel


def preview() -> Counter[str]:
    """The funnel as it would be now: how many ratings, what is dropped and why, how many rows of each kind."""
    funnel: Counter[str] = Counter()
    _gather(funnel)
    return funnel


def freeze(*, made_by: User | None, now: datetime) -> Release:
    """A new release with its rows; raises `NothingToRelease` with nothing written."""
    funnel: Counter[str] = Counter()
    with transaction.atomic():
        with connection.cursor() as cursor:
            # One release at a time: versions stay without gaps, and each freezes one moment.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('feedback.release'))")
        gathered = _gather(funnel)
        if not gathered:
            raise NothingToRelease(funnel)
        version = (Release.objects.aggregate(last=Max("version"))["last"] or 0) + 1
        release = Release.objects.create(
            version=version,
            made_by=made_by,
            created_at=now,
            counts=dict(sorted(funnel.items())),
            content_sha256=_digest(gathered),
            specification={"rules_version": rules.RULES_VERSION, "test_share": TEST_SHARE},
        )
        ReleaseRow.objects.bulk_create(
            (
                ReleaseRow(
                    release=release,
                    config=row.config,
                    split=split_of(row.user_id),
                    row_id=row.row_id,
                    user_id=row.user_id,
                    source_events=list(row.source_events),
                    content=row.content,
                )
                for row in gathered
            ),
            batch_size=1000,
        )
        return release


def _gather(funnel: Counter[str]) -> list[Row]:
    unique: dict[tuple[str, str], Row] = {}
    for row in rules.rows(rules.eligible(funnel=funnel)):
        if (row.config, row.row_id) in unique:
            funnel["dropped: exact duplicate"] += 1
            continue
        unique[row.config, row.row_id] = row
        funnel[f"rows: {row.config}"] += 1
    return list(unique.values())


def _digest(rows: list[Row]) -> str:
    """Names these very rows, whatever order they were found in."""
    lines = sorted(f"{row.config}/{split_of(row.user_id)}/{row.row_id}" for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def split_of(user_id: object) -> str:
    """All rows of a person are in one split, so that no test row comes from somebody seen in training."""
    place = int.from_bytes(hashlib.sha256(str(user_id).encode()).digest()[:4], "big") / 2**32
    return "test" if place < TEST_SHARE else "train"
