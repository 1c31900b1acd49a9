"""Words leave data sets that were sealed before: each release that holds them is replaced by one that does not.

A sealed release is never edited. Asking marks the rows in the transaction of the withdrawal itself. A worker then
makes the successor, whose rows are those of the same origin less the marked ones: it rewrites the files they are in,
moves the others over, deletes what is left of the old ones, and leaves a tombstone (a hash) for each row. The old
release is out of reach from the moment its successor is begun.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, Max, OuterRef, Q

from accounts.models import User
from feedback.consent import CONSENT, OF_PARTS, PARTS_OF_COMPARISON
from feedback.release import store
from feedback.release.models import (
    CandidateRow,
    Erasure,
    RatedPrompt,
    Release,
    ReleaseChunk,
    ReleaseMember,
    ReleaseRow,
)
from feedback.release.store import MANIFEST
from feedback.release.uses import TrainedModel
from feedback.release.waking import enqueue, enqueue_erasing

# Why candidate rows are left out whose sources were withdrawn after the release was frozen.
WITHDRAWN = "withdrawn meanwhile"
GIVEN_UP = "somebody whose words were in it withdrew them; make it again"
# A worker that was busy with a file when its release was cancelled has noticed by then, or died.
LAST_WRITERS = timedelta(hours=1)

# What of a person may no longer be used: `{ids}` names its sources, of which those of somebody else say nothing about
# it. Erased or about to be (`gone`), taken back, or without consent. A chat that was deleted can be brought back: what
# is sealed keeps it until it is erased, and what is still being made (`{is_open}`) goes on without it.
_LOST = f"""
EXISTS (
    SELECT FROM unnest({{ids}}) AS source (id)
    LEFT JOIN feedback_feedbackevent event ON event.id = source.id
    LEFT JOIN feedback_implicitsignal signal ON signal.id = source.id
    LEFT JOIN feedback_betteranswer better ON better.id = source.id
    LEFT JOIN feedback_comparisonevent answer ON answer.id = source.id
    LEFT JOIN feedback_comparison comparison ON comparison.id = COALESCE(answer.comparison_id, better.comparison_id)
    LEFT JOIN feedback_correction correction ON correction.id = source.id
    LEFT JOIN chat_message message ON message.id = COALESCE(
        event.message_id, signal.message_id, comparison.question_id, correction.message_id, source.id
    )
    LEFT JOIN chat_conversation conversation ON conversation.id = message.conversation_id
    LEFT JOIN feedback_rating rating ON rating.message_id = message.id AND rating.user_id = %(user)s
    LEFT JOIN feedback_rating left_rating
        ON left_rating.message_id = comparison.left_id AND left_rating.user_id = %(user)s
    LEFT JOIN feedback_rating right_rating
        ON right_rating.message_id = comparison.right_id AND right_rating.user_id = %(user)s
    LEFT JOIN LATERAL (
        SELECT is_granted, created_at FROM accounts_consentevent
        WHERE user_id = %(user)s AND scope = 'account' ORDER BY created_at DESC, id DESC LIMIT 1
    ) for_account ON true
    LEFT JOIN LATERAL (
        SELECT is_granted, created_at FROM accounts_consentevent
        WHERE user_id = %(user)s AND scope = 'conversation' AND subject_id = message.conversation_id
        ORDER BY created_at DESC, id DESC LIMIT 1
    ) for_conversation ON true
    LEFT JOIN LATERAL (
        SELECT {OF_PARTS.format(replies="CASE WHEN comparison.id IS NULL THEN 1 ELSE 2 END")} FROM (
            SELECT DISTINCT ON (named.part) named.part, said.is_granted, said.created_at
            FROM (
                VALUES (1, rating.id), (1, signal.id), (1, CASE WHEN comparison.id IS NULL THEN message.id END),
                {PARTS_OF_COMPARISON}
            ) AS named (part, subject_id)
            JOIN accounts_consentevent said
                ON said.user_id = %(user)s AND said.scope = 'rating' AND said.subject_id = named.subject_id
            ORDER BY named.part, said.created_at DESC, said.is_granted
        ) newest
    ) for_rating ON true
    WHERE (event.id IS NULL OR event.user_id = %(user)s) AND (
    message.id IS NULL OR (event.id IS NOT NULL AND rating.id IS NULL) OR correction.withdrawn_at IS NOT NULL
    OR comparison.choice IN ('', 'skipped') OR better.choice <> comparison.choice OR message.id = ANY(%(gone)s::uuid[])
    OR comparison.left_id = ANY(%(gone)s::uuid[]) OR comparison.right_id = ANY(%(gone)s::uuid[])
    OR (conversation.deleted_at IS NOT NULL AND {{is_open}}) OR NOT ({CONSENT})
    )
)
"""  # noqa: S608 - made of constants
_IS_OPEN = """
released.release_id IN (SELECT id FROM feedback_release WHERE lineage_id IS NULL AND state = ANY(%(states)s))
"""
_WITHDRAWN = f"""
UPDATE feedback_releaserow AS released SET erasure_id = %(erasure)s
WHERE (released.user_id = %(user)s OR released.other_user_id = %(user)s) AND released.erasure_id IS NULL AND
{_LOST.format(ids="released.source_events", is_open=_IS_OPEN)}
"""  # noqa: S608 - made of constants
_SOURCES = "array_remove(member.event_id || member.corrections || member.ideal_from, NULL)"
# Of releases that are not finished, what of the person went in; who leaves takes all of it along.
_LEFT_OUT = f"""
DELETE FROM feedback_releasemember AS member USING feedback_release AS release
WHERE release.id = member.release_id AND release.lineage_id IS NULL AND release.state = ANY(%(states)s)
AND member.event_id = ANY(ARRAY(
    SELECT id FROM feedback_feedbackevent WHERE user_id = %(user)s
    UNION ALL SELECT id FROM feedback_comparisonevent WHERE user_id = %(user)s
    UNION ALL SELECT id FROM feedback_implicitsignal WHERE user_id = %(user)s
    UNION ALL SELECT better.id FROM feedback_betteranswer better
        JOIN feedback_comparison comparison ON comparison.id = better.comparison_id
        WHERE comparison.user_id = %(user)s
)) AND (%(all)s OR {_LOST.format(ids=_SOURCES, is_open="true")})
RETURNING member.release_id, member.event_id
"""  # noqa: S608 - made of constants
# Better answers to what the person had rated, which older versions left with releases that were made.
_LEFT_BEHIND = """
UPDATE feedback_releasemember AS member SET ideal_text = '' FROM feedback_release AS release
WHERE release.id = member.release_id AND release.state <> ALL(%(states)s) AND member.ideal_text <> ''
AND member.event_id = ANY(ARRAY(SELECT id FROM feedback_feedbackevent WHERE user_id = %(user)s))
"""


def ask(*, user: User, reason: Erasure.Reason, now: datetime, gone: Collection[uuid.UUID] = ()) -> Erasure | None:
    """Mark what is to go, in the caller's transaction; None when no data set holds any of it.

    `gone` are messages of theirs that will be erased in the same transaction.
    Releases that are still being made go on without the person's words, and are given up when nothing else is in them.
    """
    with transaction.atomic():
        # Whoever freezes a release has this lock alone: either it is frozen with this withdrawal, or it is seen below.
        # Whoever ends a step of one has it alone for a moment as well: what was lost meanwhile is not written after it.
        hold(shared=True)
        asked: dict[str, Any] = {
            "user": user.pk,
            "all": reason == Erasure.Reason.LEFT,
            "gone": list(gone),
            "states": [*Release.UNFINISHED, Release.State.FAILED],
        }
        _leave_out(asked, now)
        erasure = Erasure.objects.create(user=user, reason=reason, asked_at=now)
        if reason == Erasure.Reason.LEFT:
            ReleaseRow.objects.filter(Q(user=user) | Q(other_user=user), erasure=None).update(erasure=erasure)
            ReleaseRow.objects.filter(user=user).update(source_events=[], user=None)
            ReleaseRow.objects.filter(other_user=user).update(source_events=[], other_user=None)
            erasure.user = None
        else:
            with connection.cursor() as cursor:
                cursor.execute(_WITHDRAWN, {**asked, "erasure": erasure.pk})
        erasure.n_rows = erasure.rows.count()
        if not erasure.n_rows:
            erasure.delete()
            return None
        erasure.save()
        transaction.on_commit(enqueue_erasing, robust=True)
        return erasure


def _leave_out(asked: dict[str, Any], now: datetime) -> None:
    """Take what is lost out of releases that are being made; they go on without it.

    Rows that are chosen already are in files that are being written. They are marked like those of any sealed release,
    and `succeed_at_once` sees to it that nobody is ever given them.
    """
    lost: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_LEFT_BEHIND, asked)
        cursor.execute(_LEFT_OUT, asked)
        for release_id, event_id in cursor.fetchall():
            lost[release_id].append(event_id)
    for release in Release.objects.filter(pk__in=lost):
        if release.state == Release.State.FAILED or not release.members.exists():
            _give_up(release, now)
            continue
        # No release that is frozen later is the same one.
        Release.objects.filter(pk=release.pk).update(membership_sha256="")
        whose = Q(user_id=asked["user"]) | Q(other_user_id=asked["user"])
        theirs = CandidateRow.objects.filter(whose, release=release, dropped="")
        theirs.filter(source_events__overlap=lost[release.pk]).update(dropped=WITHDRAWN)


def _give_up(release: Release, now: datetime) -> None:
    still_open = Release.objects.filter(pk=release.pk, state__in=[*Release.UNFINISHED, Release.State.FAILED])
    # One that was sealed this moment stays, and its rows are marked like those of any other.
    if still_open.update(state=Release.State.CANCELLED, finished_at=now, error=GIVEN_UP):
        discard(release, now=now)


def clear(release: Release) -> None:
    """Forget the words of a release that is made or given up; who gave which row stays, unless it was a dry run."""
    _forget_words(release)
    if release.is_dry_run:
        release.rows.all()._raw_delete("default")
        ReleaseMember.objects.filter(release=release)._raw_delete("default")


def discard(release: Release, *, now: datetime) -> None:
    """Forget the words of a cancelled release, in the database and in its files, and who gave which."""
    _forget_words(release)
    marked = ReleaseRow.objects.filter(release=release, erasure__isnull=False)
    by_erasure = Counter(marked.values_list("erasure_id", flat=True))
    ReleaseRow.objects.filter(release=release)._raw_delete("default")
    _note(by_erasure, {"release": release.name, "replaced_by": "", "shards_rewritten": 0}, [], now=now)
    if release.content_sha256:
        transaction.on_commit(partial(_delete, release.folder), robust=True)


def _forget_words(release: Release) -> None:
    """What the database holds of them; members stay, for a release that follows leaves out what was in this one."""
    CandidateRow.objects.filter(release=release)._raw_delete("default")
    RatedPrompt.objects.filter(release=release)._raw_delete("default")
    ReleaseMember.objects.filter(release=release).exclude(ideal_text="").update(ideal_text="")


def sweep(*, now: datetime) -> None:
    """Forget what workers wrote of cancelled releases before they noticed, and what older versions had left of them."""
    cancelled = Release.objects.filter(state=Release.State.CANCELLED)
    left_over = Q(finished_at__gte=now - LAST_WRITERS) | Exists(ReleaseRow.objects.filter(release=OuterRef("pk")))
    for release in cancelled.filter(left_over):
        discard(release, now=now)
    # Nobody may ever try again what failed while words that are to go were in it.
    marked = ReleaseRow.objects.filter(release=OuterRef("pk"), erasure__isnull=False)
    lost = CandidateRow.objects.filter(release=OuterRef("pk"), dropped=WITHDRAWN)
    failed = Release.objects.filter(state=Release.State.FAILED, lineage=None)
    for release in failed.filter(Exists(marked) | Exists(lost)):
        with transaction.atomic():
            hold(shared=True)
            _give_up(release, now)


def begin(*, now: datetime) -> int:
    """Begin a successor of every sealed release that holds marked rows; returns how many. Harmless at any time."""
    begun = 0
    waiting = ReleaseRow.objects.filter(erasure__isnull=False, erased_in=None)
    for origin in Release.objects.filter(pk__in=waiting.values("release")):
        with transaction.atomic():
            hold()
            newest = (
                Release.objects.select_for_update(of=("self",))
                .filter(Q(pk=origin.pk) | Q(lineage=origin))
                .order_by("-version")[0]
            )
            # One that is being made, or failed and waits to be tried again, comes to its end first.
            if newest.state == Release.State.SEALED:
                _succeed(newest, origin, now)
                begun += 1
    return begun


def succeed_at_once(release: Release, *, now: datetime) -> bool:
    """Whether rows of a release sealed in this transaction are to go: then it is replaced before anybody sees it.

    Call it while `hold` is in force.
    """
    if not release.origin.rows.filter(erasure__isnull=False, erased_in=None).exists():
        return False
    _succeed(Release.objects.get(pk=release.pk), release.origin, now)
    return True


def hold(*, shared: bool = False) -> None:
    """Until the transaction ends nobody withdraws; shared, nobody freezes a release or ends a step of one."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock{'_shared' if shared else ''}(hashtext('feedback.release'))")


def _succeed(parent: Release, origin: Release, now: datetime) -> None:
    marked = ReleaseRow.objects.filter(release=origin, erasure__isnull=False, erased_in=None)
    gone = list(marked.order_by("row_id").values_list("config", "split", "ordinal", "row_id"))
    Release.objects.filter(pk=parent.pk).update(state=Release.State.SUPERSEDED)
    rows_left = Counter(parent.counts)
    for config, _split, _ordinal, _row in gone:
        rows_left[f"rows: {config}"] -= 1
        rows_left["erased"] += 1
    successor = Release.objects.create(
        version=(Release.objects.aggregate(last=Max("version"))["last"] or 0) + 1,
        parent=parent,
        lineage=origin,
        state=Release.State.BUILDING,
        specification=parent.specification,
        specification_sha256=parent.specification_sha256,
        horizon=parent.horizon,
        agreement=parent.agreement,
        counts=dict(sorted((step, count) for step, count in rows_left.items() if count)),
        content_sha256=_sha256("\n".join([parent.content_sha256, *(row_id for *_place, row_id in gone)])),
        created_at=now,
        enqueued_at=now,
    )
    marked.update(erased_in=successor)
    ReleaseChunk.objects.bulk_create(_chunks(parent, successor, gone, now))
    if not successor.chunks.filter(done_at=None).exists():
        ReleaseChunk.objects.create(release=successor, stage=ReleaseChunk.Stage.SEAL, number=0)
    transaction.on_commit(lambda: enqueue(successor), robust=True)


def _chunks(
    parent: Release, successor: Release, gone: Iterable[tuple[str, str, int, str]], now: datetime
) -> Iterator[ReleaseChunk]:
    """The files of the parent; those with rows that go are open."""
    ordinals: dict[tuple[str, str], list[int]] = defaultdict(list)
    for config, split, ordinal, _row in gone:
        ordinals[config, split].append(ordinal)
    for places in ordinals.values():
        places.sort()
    for chunk in parent.chunks.filter(stage=ReleaseChunk.Stage.FILES).order_by("number"):
        places = ordinals[chunk.config, chunk.split]
        is_affected = bisect_right(places, chunk.end_ordinal - 1) > bisect_right(places, chunk.first_ordinal - 1)
        chunk.pk, chunk.release, chunk._state.adding = None, successor, True
        chunk.lease_until, chunk.attempts, chunk.failures = None, 0, 0
        chunk.done_at = None if is_affected else now
        yield chunk


def note_trained(release: Release, *, model_version: str, now: datetime) -> TrainedModel:
    """Remember that a model learnt from a release that was made to its end.

    Training takes a while: where words have left since, it is to be trained anew at once, and their receipts say so.
    """
    with transaction.atomic():
        hold()
        noted, is_new = TrainedModel.objects.get_or_create(
            release=release, model_version=model_version, defaults={"trained_at": now}
        )
        whose = Q(pk=release.origin.pk) | Q(lineage=release.origin)
        made = list(Release.objects.made().filter(whose, version__gte=release.version).order_by("version"))
        erased = made[-1].counts.get("erased", 0) - release.counts.get("erased", 0)
        if is_new and erased:
            noted.erased_rows, noted.retrain_since = erased, now
            noted.save(update_fields=["erased_rows", "retrain_since"])
            for replaced in made[:-1]:
                for erasure in Erasure.objects.select_for_update().filter(
                    effects__contains=[{"release": replaced.name}]
                ):
                    erasure.models_to_retrain = sorted({*erasure.models_to_retrain, model_version})
                    erasure.save(update_fields=["models_to_retrain"])
    return noted


# The steps of a successor, called by `building` --------------------------------------------------------------------


def take_over(release: Release) -> None:
    """Move the files that stay as they are, and delete all that is left of the parent but its manifest."""
    assert release.parent is not None  # noqa: S101 - a successor has one
    old = release.parent.folder
    there = set(store.paths(release.folder))
    for chunk in release.chunks.filter(stage=ReleaseChunk.Stage.FILES):
        for file in chunk.files:
            if file["path"] not in there:
                store.move(f"{old}/{file['path']}", f"{release.folder}/{file['path']}")
    _delete(old, keep={MANIFEST})


def tombstones(release: Release) -> list[str]:
    """A hash of each row that this release and those before it left out, so that a copy of one can be recognised."""
    if release.parent is None or release.lineage is None:
        return []
    earlier = json.loads(store.read(f"{release.parent.folder}/{MANIFEST}"))["tombstones"]
    gone = release.origin.rows.filter(erased_in=release).values_list("row_id", flat=True)
    return sorted({*earlier, *(_sha256(f"tombstone:{row_id}") for row_id in gone)})


def conclude(release: Release, *, now: datetime) -> None:
    """The successor is sealed: write the receipts, say which models must be trained anew, and drop the rows."""
    gone = release.origin.rows.filter(erased_in=release)
    by_erasure = Counter(gone.values_list("erasure_id", flat=True))
    before = TrainedModel.objects.of(release).exclude(release=release)
    before.update(erased_rows=F("erased_rows") + by_erasure.total(), retrain_since=now)
    names = sorted(set(before.values_list("model_version", flat=True)))
    gone._raw_delete("default")
    files = sum(1 for chunk in release.chunks.filter(stage="files", attempts__gt=0))
    before_it = release.parent.name if release.parent else ""
    done = {"release": before_it, "replaced_by": release.name, "shards_rewritten": files}
    _note(by_erasure, done, names, now=now)
    transaction.on_commit(enqueue_erasing, robust=True)


def _note(by_erasure: Mapping[Any, int], done: Mapping[str, Any], models: Sequence[str], *, now: datetime) -> None:
    """Write into the receipts how many rows went, and how."""
    for erasure in Erasure.objects.select_for_update().filter(pk__in=[key for key in by_erasure if key]):
        erasure.effects = [*erasure.effects, {**done, "rows": by_erasure[erasure.pk]}]
        erasure.models_to_retrain = sorted({*erasure.models_to_retrain, *models})
        if not erasure.rows.exists():
            erasure.finished_at = now
        erasure.save()


def _delete(folder: str, *, keep: Iterable[str] = ()) -> None:
    for path in store.paths(folder):
        if path not in keep:
            store.remove(f"{folder}/{path}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
