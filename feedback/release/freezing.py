"""Freeze what is in a release: one statement, so one moment, whatever is being written beside it.

A rating belongs to the release when the transaction that wrote it has a number below the horizon: the oldest one still
under way at that moment; numbers that a restored dump brought along do not count. A rating whose transaction began
earlier and commits later waits for the next release.
Following releases (`after_version`) leave out what those before them hold, and so hand out every rating once: those too
that came late, or that were reviewed or allowed only after an earlier release was frozen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from accounts.models import User
from feedback import trust
from feedback.release import evaluations
from feedback.release.eligibility import IDEAL_USABLE, JUDGED, JUDGED_COMPARISONS, REGENERATED, SEEN, UNSPOKEN
from feedback.release.models import Release, ReleaseChunk
from feedback.release.specification import BadSpecification, Specification

CONVERSATIONS_PER_BATCH = 500


class NothingToRelease(ValueError):  # noqa: N818
    """No rating may be used; `funnel` says why."""

    def __init__(self, funnel: Counter[str]) -> None:
        super().__init__("no rating is approved with consent, and no comparison answered")
        self.funnel = funnel


class _MadeAlreadyError(Exception):
    """Takes back what was written while comparing."""

    def __init__(self, release: Release) -> None:
        super().__init__(release.name)
        self.release = release


@dataclass(frozen=True)
class Frozen:
    """A release, and whether it was there already: the same specification over the same ratings is the same release."""

    release: Release
    is_new: bool


# What a rating's person had said of the words of the reply when they gave it, and has not taken back.
_STANDING = """
correction.message_id = rating.message_id AND correction.user_id = rating.user_id
AND correction.withdrawn_at IS NULL AND correction.created_at <= event.created_at
"""

# Words that were marked as wrong without saying what would be right (an empty `right_text`) are no corrections: they
# would be read as words to delete. That there are some is kept.
# What this transaction itself wrote has a number above the horizon and belongs in all the same. So does what can be
# seen with a number that no transaction has been given yet: a dump brought it from a cluster that had counted further.
_FREEZE = f"""
WITH judged AS MATERIALIZED ({JUDGED}),
judged_comparisons AS MATERIALIZED ({JUDGED_COMPARISONS}),
moment AS (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon, pg_snapshot_xmax(pg_current_snapshot()) AS unborn
),
used AS MATERIALIZED (
    SELECT kept.id, kept.user_id, kept.message_id, message.conversation_id, kept.xid
    FROM feedback_implicitsignal kept
    JOIN chat_message message ON message.id = kept.message_id
    JOIN chat_reply reply ON reply.message_id = message.id
    JOIN chat_conversation conversation ON conversation.id = message.conversation_id
    WHERE cardinality(%(weak_rules)s::text[]) > 0 AND kept.kind IN ('copied', 'shared', 'continued')
        AND reply.state = 'complete' AND reply.finish_reason = 'stop' AND message.content <> ''
        AND NOT conversation.is_temporary AND conversation.deleted_at IS NULL
        AND conversation.origin NOT IN ('share', 'import', 'docs') AND {UNSPOKEN}
),
abandoned AS MATERIALIZED (
    SELECT signal.id, signal.user_id, signal.cause, earlier.conversation_id, signal.xid
    FROM feedback_implicitsignal signal JOIN chat_message earlier ON earlier.id = signal.message_id
    WHERE 'regen_no_rating' = ANY(%(weak_rules)s::text[]) AND signal.kind = 'regenerated'
        AND EXISTS (SELECT FROM used WHERE used.message_id = signal.cause AND used.user_id = signal.user_id)
        AND {REGENERATED} AND {SEEN}
),
offered AS (
    SELECT 'rating' AS kind, rating.event_id, CASE WHEN {IDEAL_USABLE} THEN rating.ideal_text ELSE '' END AS ideal_text,
        CASE WHEN {IDEAL_USABLE} THEN rating.ideal_from END AS ideal_from, rating.user_id, message.conversation_id,
        event.xid, judged.reason, ARRAY(
            SELECT correction.id FROM feedback_correction correction
            WHERE {_STANDING} AND correction.right_text <> '' ORDER BY correction.created_at, correction.id
        ) AS corrections,
        EXISTS (
            SELECT FROM feedback_correction correction WHERE {_STANDING} AND correction.right_text = ''
        ) AS has_marks
    FROM judged
    JOIN feedback_rating rating ON rating.id = judged.id
    JOIN feedback_feedbackevent event ON event.id = rating.event_id
    JOIN chat_message message ON message.id = rating.message_id
    UNION ALL
    SELECT 'comparison', event.id, '', NULL, comparison.user_id, question.conversation_id, event.xid, judged.reason,
        ARRAY[]::uuid[], false
    FROM judged_comparisons judged JOIN feedback_comparison comparison ON comparison.id = judged.id
    JOIN feedback_comparisonevent event ON event.id = comparison.event_id
    JOIN chat_message question ON question.id = comparison.question_id
    UNION ALL
    SELECT 'signal', signal.id, '', NULL, signal.user_id, earlier.conversation_id, event.xid,
        CASE WHEN NOT {SEEN} THEN 'not seen whole' END, ARRAY[]::uuid[], false
    FROM judged
    JOIN feedback_rating rating ON rating.id = judged.id AND rating.value = 1
    JOIN feedback_feedbackevent event ON event.id = rating.event_id
    JOIN feedback_implicitsignal signal
        ON signal.kind = 'regenerated' AND signal.cause = rating.message_id AND signal.user_id = rating.user_id
    JOIN chat_message earlier ON earlier.id = signal.message_id
    WHERE judged.reason IS NULL AND {REGENERATED}
    UNION ALL
    SELECT 'signal', id, '', NULL, user_id, conversation_id, xid, NULL, ARRAY[]::uuid[], false FROM abandoned
    UNION ALL
    SELECT 'signal', id, '', NULL, user_id, conversation_id, xid, NULL, ARRAY[]::uuid[], false FROM used
    WHERE 'used' = ANY(%(weak_rules)s::text[]) OR EXISTS (
        SELECT FROM abandoned WHERE abandoned.cause = used.message_id AND abandoned.user_id = used.user_id
    )
    UNION ALL
    SELECT 'answer', better.id, '', event.id, comparison.user_id, question.conversation_id,
        GREATEST(better.xid, event.xid), NULL, ARRAY[]::uuid[], false
    FROM judged_comparisons judged JOIN feedback_comparison comparison ON comparison.id = judged.id
    JOIN feedback_comparisonevent event ON event.id = comparison.event_id
    JOIN feedback_betteranswer better ON better.comparison_id = comparison.id AND better.choice = comparison.choice
    JOIN chat_message question ON question.id = comparison.question_id
    WHERE judged.reason IS NULL
), placed AS MATERIALIZED (
    SELECT offered.*, CASE
        WHEN EXISTS (
            SELECT FROM feedback_releasemember held
            WHERE held.release_id = ANY(%(after)s::uuid[]) AND held.event_id = offered.event_id
        ) THEN 'in an earlier release'
        WHEN offered.reason IS NOT NULL THEN offered.reason
        WHEN offered.xid >= moment.horizon AND offered.xid < moment.unborn
            AND offered.xid IS DISTINCT FROM pg_current_xact_id_if_assigned()
            THEN 'written beside an unfinished transaction'
    END AS refusal
    FROM offered CROSS JOIN moment
), reviews AS (
    SELECT event_id, count(*) AS n, avg((verdict = 'approved')::int) AS agreement
    FROM feedback_reviewdecision GROUP BY event_id
), taken AS (
    INSERT INTO feedback_releasemember
        (release_id, batch, kind, event_id, ideal_text, ideal_from, corrections, has_marks, n_reviews, agreement,
        weight)
    SELECT %(release)s,
        (dense_rank() OVER (ORDER BY placed.user_id, placed.conversation_id) - 1) / %(per_batch)s,
        placed.kind, placed.event_id, placed.ideal_text, placed.ideal_from, placed.corrections,
        placed.has_marks, COALESCE(reviews.n, 0), COALESCE(reviews.agreement, 1), COALESCE(doubted.weight, 1)
    FROM placed LEFT JOIN reviews ON reviews.event_id = placed.event_id
    LEFT JOIN unnest(%(doubted)s::uuid[], %(weights)s::float8[]) AS doubted (user_id, weight)
        ON doubted.user_id = placed.user_id
    WHERE placed.refusal IS NULL
)
SELECT (SELECT horizon::text FROM moment), kind, COALESCE(refusal, ''), count(*) FROM placed GROUP BY kind, refusal
"""  # noqa: S608 - made of constants

_DIGEST = """
SELECT encode(sha256(convert_to(string_agg(
    event_id::text || ' ' || n_reviews || ' ' || encode(sha256(convert_to(ideal_text, 'UTF8')), 'hex')
    || ' ' || weight || ' ' || corrections::text || COALESCE(' ' || ideal_from, '')
    || CASE WHEN has_marks THEN ' marked' ELSE '' END, ',' ORDER BY event_id
), 'UTF8')), 'hex'), max(batch) FROM feedback_releasemember WHERE release_id = %s
"""


def freeze(*, specification: Specification, made_by: User | None, now: datetime, is_dry_run: bool = False) -> Frozen:
    """A release whose members are fixed from now on; raises `NothingToRelease` or `BadSpecification`, nothing written.

    Nothing of the content is read here: that is the work of the steps that follow, which any worker may do.
    """
    try:
        return Frozen(_freeze(specification, made_by, now, is_dry_run), is_new=True)
    except _MadeAlreadyError as known:
        return Frozen(known.release, is_new=False)


def _freeze(specification: Specification, made_by: User | None, now: datetime, is_dry_run: bool) -> Release:
    specification.check_versions()
    after = _earlier(specification.after_version)
    # It takes seconds of very many ratings, and withdrawals wait for what follows.
    doubted = trust.weights()
    with transaction.atomic(), connection.cursor() as cursor:
        # One at a time: versions stay without gaps, and two equal requests meet.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('feedback.release'))")
        if specification.evaluation_prompts == "drop":
            until = specification.evaluation_prompts_until or evaluations.newest()
            specification = replace(specification, evaluation_prompts_until=until)
        release = Release.objects.create(
            version=None if is_dry_run else _next_version(),
            is_dry_run=is_dry_run,
            specification=specification.as_json(),
            specification_sha256=specification.sha256,
            made_by=made_by,
            created_at=now,
            enqueued_at=now,
        )
        cursor.execute(
            _FREEZE,
            {
                "release": release.pk,
                "per_batch": CONVERSATIONS_PER_BATCH,
                "after": after,
                "weak_rules": list(specification.weak_rules),
                "doubted": list(doubted),
                "weights": list(doubted.values()),
            },
        )
        funnel, horizon = _funnel(cursor.fetchall())
        digest, last_batch = membership(release)
        if last_batch is None:
            raise NothingToRelease(funnel)
        if not is_dry_run and (known := _same(specification, digest)):
            raise _MadeAlreadyError(known)
        release.membership_sha256, release.horizon = digest, horizon
        release.counts = dict(sorted(funnel.items()))
        release.save()
        ReleaseChunk.objects.bulk_create(
            ReleaseChunk(release=release, stage=ReleaseChunk.Stage.ROWS, number=batch)
            for batch in range(last_batch + 1)
        )
    return release


def membership(release: Release) -> tuple[str, int | None]:
    """(digest of all that is in it, number of the last batch), the latter None when nothing is."""
    with connection.cursor() as cursor:
        cursor.execute(_DIGEST, [release.pk])
        digest, last_batch = cursor.fetchone()
    return digest or "", last_batch


def _same(specification: Specification, digest: str) -> Release | None:
    made = Release.objects.data_sets().filter(
        specification_sha256=specification.sha256,
        membership_sha256=digest,
        state__in=[*Release.UNFINISHED, Release.State.SEALED],
    )
    return made.first()


def _funnel(counted: list[tuple[str, str, str, int]]) -> tuple[Counter[str], int]:
    funnel: Counter[str] = Counter()
    for _horizon, kind, refusal, count in counted:
        funnel[f"{kind}s"] += count
        if refusal:
            funnel[f"left out: {refusal}"] += count
        else:
            funnel[f"{kind}s used"] += count
    return funnel, int(counted[0][0]) if counted else 0


def _earlier(version: int) -> list[UUID]:
    """The releases that hold what was handed out up to this version: itself, the one it follows, and so on."""
    found: list[UUID] = []
    while version:
        earlier = Release.objects.data_sets().filter(version=version).first()
        if earlier is None:
            raise BadSpecification(f"after_version names release {version}, and there is none")
        if earlier.state not in Release.MADE:
            raise BadSpecification(f"after_version names release {version}, which was not made to its end")
        found.append(earlier.origin.pk)
        version = earlier.specification["after_version"]
    return found


def _next_version() -> int:
    return (Release.objects.aggregate(last=Max("version"))["last"] or 0) + 1
