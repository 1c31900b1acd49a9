"""Ask for a release, follow it, stop it, start it again: what pages, the API and the command line call."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q

from accounts.models import User
from feedback.release import erasing
from feedback.release.freezing import Frozen, freeze
from feedback.release.models import Release, ReleaseChunk
from feedback.release.specification import Specification
from feedback.release.uses import LoadCheck
from feedback.release.waking import enqueue, enqueue_load_check


class NotNow(ValueError):  # noqa: N818
    """What was asked for cannot be done in the release's state; `str()` says why."""


@dataclass(frozen=True)
class Progress:
    """How far a release is: the stage it is in, and the steps of that stage."""

    stage: str
    done: int
    steps: int


def make_release(
    *, specification: Specification, made_by: User | None, now: datetime, is_dry_run: bool = False
) -> Frozen:
    """A frozen release whose files are being written; the one that is there when nothing has changed since.

    Raises `freezing.NothingToRelease` and `specification.BadSpecification`.
    """
    with transaction.atomic():
        frozen = freeze(specification=specification, made_by=made_by, now=now, is_dry_run=is_dry_run)
        if frozen.is_new:
            transaction.on_commit(lambda: enqueue(frozen.release), robust=True)
    return frozen


def cancel(release: Release, *, now: datetime) -> None:
    """Stop a release that is being made; what was written so far is forgotten. Raises `NotNow`."""
    with transaction.atomic():
        erasing.hold()
        # One that is made to forget takes the place of a release whose words are to go: it must come to its end.
        stopped = Release.objects.unfinished().filter(pk=release.pk, lineage=None)
        if not stopped.update(state=Release.State.CANCELLED, finished_at=now):
            raise NotNow(f"{release.name} is not being made.")
        release.refresh_from_db()  # where its files lie is known since the choice
        erasing.clear(release)
        erasing.discard(release, now=now)


def retry(release: Release, *, now: datetime) -> None:
    """Go on with a release that failed, from the step that did. Raises `NotNow`."""
    with transaction.atomic():
        failed = Release.objects.filter(pk=release.pk, state=Release.State.FAILED)
        if not failed.update(state=Release.State.BUILDING, error="", finished_at=None, enqueued_at=now):
            raise NotNow(f"{release.name} has not failed.")
        release.chunks.filter(done_at=None).update(failures=0, lease_until=None)
        transaction.on_commit(lambda: enqueue(release), robust=True)


def check_loading(release: Release, *, now: datetime) -> LoadCheck:
    """Have a worker open the files with `datasets`; the outcome is in the row. Raises `NotNow`."""
    if release.is_dry_run or release.state != Release.State.SEALED:
        raise NotNow(f"{release.name} has no files to open: it is {release.state}.")
    with transaction.atomic():
        asked, _is_new = LoadCheck.objects.update_or_create(
            release=release, defaults={"asked_at": now, "checked_at": None, "rows": {}, "error": ""}
        )
        transaction.on_commit(lambda: enqueue_load_check(release), robust=True)
    return asked


def sweep(*, now: datetime) -> int:
    """Wake workers for every release with a step that nobody works on; returns how many. Run every few seconds.

    A successor that failed is tried again: nobody may have to ask for words to be erased that are to be erased.
    """
    for failed in Release.objects.filter(state=Release.State.FAILED).exclude(lineage=None):
        if failed.tried_again_at and failed.tried_again_at <= now:
            with contextlib.suppress(NotNow):  # somebody pressed the button this moment
                retry(failed, now=now)
    patience = now - timedelta(seconds=settings.RELEASE_LEASE_SECONDS)
    with_free_steps = ReleaseChunk.objects.claimable(now=now).values("release")
    waiting = list(Release.objects.unfinished().filter(pk__in=with_free_steps, enqueued_at__lt=patience))
    for release in waiting:
        Release.objects.filter(pk=release.pk).update(enqueued_at=now)
        enqueue(release)
    return len(waiting)


def progress(release: Release) -> Progress | None:
    """How far an unfinished release is; None for the others."""
    if not release.is_unfinished:
        return None
    counted = release.chunks.values("stage").annotate(steps=Count("id"), done=Count("id", filter=~Q(done_at=None)))
    by_stage = {row["stage"]: row for row in counted}
    for stage in reversed(ReleaseChunk.Stage):
        if stage in by_stage:
            return Progress(str(stage.label), by_stage[stage]["done"], by_stage[stage]["steps"])
    return Progress("", 0, 0)
