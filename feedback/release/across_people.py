"""Pairs of two people: one rated a reply up, the other one down that was given to the same prompt.

The prompts must be the same with the system prompt and all turns, but for what exact duplicates differ in. Of one
prompt the first whose person liked what they got is paired with the first whose person did not, and so on: a rating is
in one such pair at most, and a prompt that thousands ask makes no more pairs than people. Who rated replies to it both
ways has a pair of their own, and is in none of these.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable
from dataclasses import replace

from django.db import connection

from feedback.release import candidates, choice
from feedback.release.models import CandidateRow, Release, ReleaseChunk
from feedback.release.prompts import paths_above, prompts_of
from feedback.release.rules import Candidate, rated_row
from feedback.release.specification import Specification

# Most prompts are asked once, so that a part has no more to read than a batch.
BATCHES_IN_PART = 20
KEYS = 2**32
APART = "people of two splits"

# Ratings that were withdrawn meanwhile are members no more.
_PAIRS = f"""
WITH person AS (
    SELECT prompt.key, event.user_id, bool_or(event.value > 0) AS is_up,
        (array_agg(event.id ORDER BY event.id))[1] AS event_id
    FROM feedback_ratedprompt prompt
    JOIN feedback_releasemember member ON member.release_id = prompt.release_id AND member.event_id = prompt.event_id
    JOIN feedback_feedbackevent event ON event.id = prompt.event_id
    WHERE prompt.release_id = %(release)s AND prompt.key >= %(first)s AND prompt.key < %(end)s
    GROUP BY prompt.key, event.user_id HAVING bool_or(event.value > 0) = bool_and(event.value > 0)
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY key, is_up ORDER BY event_id) AS place FROM person
)
SELECT up.event_id, down.event_id, {choice.SPLIT_OF.format(person="up.user_id")}
    = {choice.SPLIT_OF.format(person="down.user_id")}
FROM placed up JOIN placed down ON down.key = up.key AND down.place = up.place AND NOT down.is_up
WHERE up.is_up ORDER BY up.event_id
"""  # noqa: S608 - made of constants


def parts(release: Release) -> int:
    """Into how many steps the prompts of a release are divided."""
    return math.ceil(_batches(release) / BATCHES_IN_PART)


def batch_of(release: Release, part: int) -> int:
    """The batch that the rows of a part are kept under, after those of ratings."""
    return _batches(release) + part


def _batches(release: Release) -> int:
    return release.chunks.filter(stage=ReleaseChunk.Stage.ROWS).count()


def candidates_of(release: Release, part: int, specification: Specification) -> list[Candidate]:
    """The pairs of one part; those whose people are in two splits are dropped, so that neither is in the other's."""
    if "preference" not in specification.configs:
        return []
    first, end = (f"{KEYS * place // parts(release):08x}" for place in (part, part + 1))
    shares = {"test": specification.test_share, "validation": specification.validation_share}
    with connection.cursor() as cursor:
        # After the last key in hexadecimal digits comes a letter that is none.
        last = {"first": first, "end": end if len(end) == 8 else "g"}
        cursor.execute(_PAIRS, {"release": release.pk, **last, **shares})
        pairs: list[tuple[uuid.UUID, uuid.UUID, bool]] = cursor.fetchall()
    wanted = [event_id for up, down, _together in pairs for event_id in (up, down)]
    members, receipts = candidates.members_of(release, "member.event_id = ANY(%s)", wanted)
    prompts = prompts_of(receipts, paths_above(receipts))
    rated, made = {member.event_id: member for member in members}, []
    for up_id, down_id, are_together in pairs:
        up, down = rated.get(up_id), rated.get(down_id)
        if up is None or down is None or not up.speaks_for_reply or up.content == down.content:
            continue
        pair = rated_row(
            "preference", "up_vs_down", [up, down], prompts[up.reply_id], chosen=up.content, rejected=down.content
        )
        made.append((replace(pair, other_user_id=down.user_id), are_together))
    judged = candidates.judge([pair for pair, _together in made], specification)
    return [
        row if are_together else replace(row, dropped=row.dropped or APART)
        for row, (_pair, are_together) in zip(judged, made, strict=True)
    ]


def forget_lost(release: Release, batch: int, found: Iterable[Candidate]) -> None:
    """Delete the pairs that lost a rating since they were read; call it while nobody withdraws."""
    sources = {source for row in found for source in row.source_events}
    held = set(release.members.filter(event_id__in=sources).values_list("event_id", flat=True))
    if lost := sources - held:
        CandidateRow.objects.filter(release=release, batch=batch, source_events__overlap=list(lost)).delete()
