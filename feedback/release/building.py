"""Make a release step by step: any number of workers take steps under leases, and whoever ends a stage begins the next.

    rows (one a batch of ratings) -> pairs -> choice -> files (one a shard) -> seal

A step reads what never changes and writes the same bytes each time, so a step that was cut off, or done twice, does no
harm. What a step found is written in one transaction that first looks whether the step is still its worker's.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from feedback.release import (
    across_people,
    candidates,
    choice,
    erasing,
    measures,
    reading,
    rewriting,
    sealing,
    shards,
    trees,
)
from feedback.release.models import Release, ReleaseChunk, lease
from feedback.release.specification import BadSpecification, Specification, specification
from feedback.release.waking import enqueue
from feedback.telling import tell_of_release

logger = logging.getLogger(__name__)

Stage = ReleaseChunk.Stage
Beat = Callable[[], None]
Commit = Callable[[], None]
POLL_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 60


class StepLostError(Exception):
    """Another worker has the step, or the release was cancelled."""


class MadeOtherwiseError(ValueError):
    """A release was begun by other rules than this Parley has: what is left of it would not fit what there is."""


class WithdrawnMeanwhileError(Exception):
    """Somebody withdrew while what they had said was being written down: the step is done again, without it."""


@dataclass(frozen=True)
class Step:
    """A step that is this worker's until its lease runs out."""

    chunk: ReleaseChunk
    release: Release
    specification: Specification
    beat: Beat


def work(release_id: uuid.UUID, *, clock: Callable[[], datetime] = timezone.now) -> int:
    """Take steps of a release until none is free; returns how many were done."""
    done = 0
    while chunk := _claim(release_id, now=clock()):
        done += _take(chunk, clock)
    return done


def work_off(release_id: uuid.UUID, *, clock: Callable[[], datetime] = timezone.now) -> Release:
    """Stay until the release is made, failed or cancelled, working and waiting for the steps that others have.

    Returns the one that took its place where somebody withdrew meanwhile.
    """
    while True:
        work(release_id, clock=clock)
        release = Release.objects.get(pk=release_id)
        successor = release.children.filter(lineage=release.origin, state__in=Release.UNFINISHED).first()
        if successor:  # somebody withdrew while it was made
            release_id = successor.pk
        elif not release.is_unfinished:
            return release
        else:
            time.sleep(POLL_SECONDS)  # others have the steps, in processes of which nobody here hears when they end


def _claim(release_id: uuid.UUID, *, now: datetime) -> ReleaseChunk | None:
    with transaction.atomic():
        free = ReleaseChunk.objects.claimable(now=now).filter(release=release_id)
        chunk = free.select_for_update(skip_locked=True, of=("self",)).select_related("release").order_by("id").first()
        if chunk is None:
            return None
        chunk.lease_until, chunk.attempts = lease(now), chunk.attempts + 1
        chunk.save(update_fields=["lease_until", "attempts"])
        Release.objects.filter(pk=release_id, state=Release.State.QUEUED).update(state=Release.State.BUILDING)
        return chunk


def _take(chunk: ReleaseChunk, clock: Callable[[], datetime]) -> bool:
    chosen = specification(chunk.release.specification)
    step = Step(chunk, chunk.release, chosen, _beating(chunk, clock))
    try:
        _check_versions(step)
        commit = _STEPS[Stage(chunk.stage)](step)
        _finish(step, commit, now=clock())
    except WithdrawnMeanwhileError:
        logger.info("Step %s of %s is done again: somebody withdrew", chunk, chunk.release)
        ReleaseChunk.objects.filter(pk=chunk.pk, attempts=chunk.attempts, done_at=None).update(lease_until=None)
        return False
    except StepLostError:
        logger.info("Step %s of %s went to another worker", chunk, chunk.release)
        return False
    except Exception as error:
        logger.exception("Step %s of %s failed", chunk, chunk.release)
        _fail(chunk, error, now=clock())
        return False
    return True


def _check_versions(step: Step) -> None:
    if step.release.lineage_id:
        return  # its rows are those of the release it succeeds
    try:
        step.specification.check_versions()
    except BadSpecification as other:
        raise MadeOtherwiseError(f"It was begun by another version of Parley ({other}): make it anew.") from other


def _beating(chunk: ReleaseChunk, clock: Callable[[], datetime]) -> Beat:
    """Keeps the lease; call it often, it writes seldom."""
    due = threading.local()
    due.at = time.monotonic() + 1

    def beat() -> None:
        if time.monotonic() < due.at:
            return
        due.at = time.monotonic() + 1
        mine = ReleaseChunk.objects.filter(pk=chunk.pk, attempts=chunk.attempts, done_at=None)
        if not mine.filter(release__state__in=Release.UNFINISHED).update(lease_until=lease(clock())):
            raise StepLostError

    return beat


# The steps: each does the long part and returns what is left to write ------------------------------------------------


def _rows(step: Step) -> Commit:
    found = candidates.candidates_of(step.release, step.chunk.number, step.specification)

    def commit() -> None:
        candidates.store(step.release, step.chunk.number, found.rows)
        candidates.store_prompts(step.release, step.chunk.number, found.prompt_keys)
        erasing.hold()
        candidates.forget_lost(step.release, step.chunk.number, found.rows)

    return commit


def _pairs(step: Step) -> Commit:
    batch = across_people.batch_of(step.release, step.chunk.number)
    found = across_people.candidates_of(step.release, step.chunk.number, step.specification)

    def commit() -> None:
        candidates.store(step.release, batch, found)
        erasing.hold()
        across_people.forget_lost(step.release, batch, found)

    return commit


def _choice(step: Step) -> Commit:
    chosen = choice.compare(step.release, step.specification, step.beat)
    agreement = measures.agreement(until=step.release.created_at)

    def commit() -> None:
        members = step.release.members.count()
        choice.write(step.release, step.specification, chosen)
        erasing.hold()
        if step.release.members.count() != members:
            raise WithdrawnMeanwhileError
        step.release.agreement = agreement
        step.release.save(update_fields=[*choice.FOUND, "agreement"])
        if step.release.is_dry_run:
            _end(step.release, Release.State.COUNTED)

    return commit


def _files(step: Step) -> Commit:
    chunk = step.chunk
    siblings = ReleaseChunk.objects.filter(
        release=step.release, stage=Stage.FILES, config=chunk.config, split=chunk.split
    )
    before, shape = siblings.filter(first_ordinal__lt=chunk.first_ordinal).count(), step.specification.shape_version
    shard = shards.Shard(chunk.config, chunk.split, before, siblings.count(), shape)
    if step.release.lineage_id:
        parts = rewriting.rewritten(step.release, chunk, shard, step.beat)
        chunk.files, chunk.rows = [file.as_json() for file in parts], parts[0].rows if parts else 0
        return lambda: chunk.save(update_fields=["files", "rows"])
    span = reading.Span(step.release.pk, chunk.config, chunk.split, chunk.first_ordinal, chunk.end_ordinal, shape)
    if chunk.config == shards.TREES:
        lines = (trees.line(*tree) for tree in reading.trees(span))
        written = [shards.write_lines(step.release.folder, shard, lines, step.beat)]
    else:
        with closing(reading.pieces(span)) as pieces:
            written = shards.write(step.release.folder, shard, pieces, step.beat)
    chunk.files, chunk.rows = [file.as_json() for file in written], written[0].rows
    return lambda: chunk.save(update_fields=["files", "rows"])


def _seal(step: Step) -> Commit:
    release = step.release
    if release.lineage_id:
        erasing.take_over(release)
    manifest = sealing.seal(release, sealing.files_of(release), tombstones=erasing.tombstones(release))

    def commit() -> None:
        erasing.hold()
        release.manifest_sha256 = manifest
        release.rows_done = sum(chunk.rows for chunk in release.chunks.filter(stage=Stage.FILES))
        release.save(update_fields=["manifest_sha256", "rows_done"])
        _end(release, Release.State.SEALED)
        if release.lineage_id:
            erasing.conclude(release, now=timezone.now())
        if erasing.succeed_at_once(release, now=timezone.now()):
            return
        tell_of_release(release, now=timezone.now())

    return commit


_STEPS: dict[ReleaseChunk.Stage, Callable[[Step], Commit]] = {
    Stage.ROWS: _rows,
    Stage.PAIRS: _pairs,
    Stage.CHOICE: _choice,
    Stage.FILES: _files,
    Stage.SEAL: _seal,
}


# Ending a step, a stage, a release -----------------------------------------------------------------------------------


def _finish(step: Step, commit: Commit, *, now: datetime) -> None:
    chunk = step.chunk
    with transaction.atomic():
        mine = ReleaseChunk.objects.select_for_update().filter(pk=chunk.pk, attempts=chunk.attempts, done_at=None)
        if not mine.exists():
            raise StepLostError
        commit()
        mine.update(done_at=now, lease_until=None)
        # Taken last and held shortly: of two workers that end a stage together the later one sees both ends.
        release = Release.objects.select_for_update().get(pk=chunk.release_id)
        if release.state != Release.State.BUILDING:
            if release.state in (Release.State.CANCELLED, Release.State.FAILED):
                raise StepLostError
            return
        if not release.chunks.filter(done_at=None).exists():
            _begin_next(release, Stage(chunk.stage), step.specification)


def _begin_next(release: Release, ended: ReleaseChunk.Stage, chosen: Specification) -> None:
    if ended == Stage.ROWS:
        ReleaseChunk.objects.bulk_create(
            ReleaseChunk(release=release, stage=Stage.PAIRS, number=number)
            for number in range(across_people.parts(release))
        )
    elif ended == Stage.PAIRS:
        ReleaseChunk.objects.create(release=release, stage=Stage.CHOICE, number=0)
    elif ended == Stage.CHOICE:
        ReleaseChunk.objects.bulk_create(choice.plan(release, chosen))
    elif ended == Stage.FILES:
        ReleaseChunk.objects.create(release=release, stage=Stage.SEAL, number=0)
    transaction.on_commit(lambda: enqueue(release), robust=True)


def _end(release: Release, state: Release.State) -> None:
    Release.objects.filter(pk=release.pk, state__in=Release.UNFINISHED).update(
        state=state, finished_at=timezone.now(), error=""
    )
    erasing.clear(release)


def _fail(chunk: ReleaseChunk, error: Exception, *, now: datetime) -> None:
    failures = chunk.failures + 1
    pause = timedelta(seconds=min(2**failures, LONGEST_PAUSE_SECONDS))
    mine = ReleaseChunk.objects.filter(pk=chunk.pk, attempts=chunk.attempts, done_at=None)
    if not mine.update(failures=failures, lease_until=now + pause):
        return
    # Where trying again does not help, what it says is for people.
    is_final = isinstance(error, choice.NothingLeftError | MadeOtherwiseError)
    if failures >= ReleaseChunk.MAX_FAILURES or is_final:
        # Of the gates that left nothing the counts are all that there is to see; they were rolled back with the rest.
        found = {"counts": chunk.release.counts} if isinstance(error, choice.NothingLeftError) else {}
        why = str(error) if is_final else f"{type(error).__name__}: {error}"
        Release.objects.filter(pk=chunk.release_id, state__in=Release.UNFINISHED).update(
            state=Release.State.FAILED, error=why, finished_at=now, **found
        )
