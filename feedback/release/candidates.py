"""The first step of a release: one batch of ratings becomes candidate rows, each judged by what it says itself."""

from __future__ import annotations

import hashlib
import json
import struct
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from django.db import connection

from feedback.release import evaluations
from feedback.release.gates.judging import judged
from feedback.release.models import CandidateRow, RatedPrompt, Release
from feedback.release.prompts import Prompt, Receipt, paths_above, prompts_of
from feedback.release.rules import Candidate, Edit, Member, Regenerated, rows, rows_of_regenerations
from feedback.release.rules_of_answers import Answered, rows_of_answers
from feedback.release.rules_of_comparisons import Compared, Side, rows_of_comparisons
from feedback.release.rules_of_signals import Used, rows_of_signals
from feedback.release.specification import Specification
from feedback.release.tables import PARTICULARS
from feedback.release.trees import trees

_MEMBERS = """
SELECT member.event_id, event.user_id, message.id, message.parent_id, event.value > 0, event.reasons, event.locale,
    COALESCE(event.snapshot ->> 'model_version', ''), member.n_reviews, member.agreement, member.ideal_text,
    message.content, member.weight, ARRAY(
        SELECT ARRAY[
            COALESCE(place_start, 0)::text, COALESCE(place_end, length(message.content))::text, right_text
        ]
        FROM feedback_correction correction
        WHERE correction.id = ANY(member.corrections) AND (quote = '' OR place_start IS NOT NULL)
        ORDER BY correction.created_at, correction.id
    ), member.corrections, member.ideal_from, member.has_marks,
    reply.system_prompt, reply.prompt_turns, reply.max_tokens
FROM feedback_releasemember member
JOIN feedback_feedbackevent event ON event.id = member.event_id
JOIN chat_message message ON message.id = event.message_id
JOIN chat_reply reply ON reply.message_id = message.id
WHERE member.release_id = %s AND {which} AND member.kind = 'rating'
ORDER BY event.user_id, message.parent_id, member.event_id
"""
_REGENERATED = """
SELECT signal.id, signal.user_id, earlier.id, signal.cause, earlier.content, reply.state, reply.finish_reason,
    signal.since_end_ms, reply.system_prompt, reply.prompt_turns, reply.max_tokens
FROM feedback_releasemember member
JOIN feedback_implicitsignal signal ON signal.id = member.event_id
JOIN chat_message earlier ON earlier.id = signal.message_id
JOIN chat_reply reply ON reply.message_id = earlier.id
WHERE member.release_id = %s AND member.batch = %s AND member.kind = 'signal' AND signal.kind = 'regenerated'
ORDER BY signal.id
"""
_USED = """
SELECT message.id, signal.user_id, message.content, reply.model_version, member.weight,
    array_agg(signal.id ORDER BY signal.id), array_agg(DISTINCT signal.kind),
    reply.system_prompt, reply.prompt_turns, reply.max_tokens
FROM feedback_releasemember member
JOIN feedback_implicitsignal signal ON signal.id = member.event_id
JOIN chat_message message ON message.id = signal.message_id
JOIN chat_reply reply ON reply.message_id = message.id
WHERE member.release_id = %s AND member.batch = %s AND member.kind = 'signal' AND signal.kind <> 'regenerated'
GROUP BY signal.user_id, message.id, reply.message_id, member.weight ORDER BY signal.user_id, message.id
"""
_SIDE = """
    "{0}".id, "{0}".content, COALESCE(event.snapshots -> '{0}' ->> 'model_version', ''),
    COALESCE((event.exposure ->> '{0}_fully_streamed')::boolean, false),
    (event.exposure ->> '{0}_ms')::bigint,
    {0}_reply.system_prompt, {0}_reply.prompt_turns, {0}_reply.max_tokens
"""
_WITH_SIDES = f"""
event.id, event.user_id, event.choice, COALESCE(event.strength, 0), event.reasons, event.locale, member.weight,
    {_SIDE.format("left")}, {_SIDE.format("right")}
"""
_SIDES = """
JOIN feedback_comparison comparison ON comparison.id = event.comparison_id
JOIN chat_message "left" ON "left".id = comparison.left_id
JOIN chat_message "right" ON "right".id = comparison.right_id
JOIN chat_reply left_reply ON left_reply.message_id = comparison.left_id
JOIN chat_reply right_reply ON right_reply.message_id = comparison.right_id
"""
_COMPARED = f"""
SELECT {_WITH_SIDES}
FROM feedback_releasemember member
JOIN feedback_comparisonevent event ON event.id = member.event_id
{_SIDES}
WHERE member.release_id = %s AND member.batch = %s AND member.kind = 'comparison' ORDER BY event.id
"""  # noqa: S608 - made of constants
_ANSWERED = f"""
SELECT better.id, better.text, {_WITH_SIDES}
FROM feedback_releasemember member
JOIN feedback_betteranswer better ON better.id = member.event_id
JOIN feedback_comparisonevent event ON event.id = member.ideal_from
{_SIDES}
WHERE member.release_id = %s AND member.batch = %s AND member.kind = 'answer' ORDER BY better.id
"""  # noqa: S608 - made of constants

_COLUMNS = {
    "release_id": "uuid",
    "batch": "int4",
    "config": "varchar",
    "row_id": "varchar",
    "duplicate_key": "varchar",
    "prompt_key": "varchar",
    "user_id": "uuid",
    "other_user_id": "uuid",
    "source_events": "uuid[]",
    "prompt_roles": "text[]",
    "prompt_contents": "text[]",
    "chosen": "text",
    "rejected": "text",
    "confidence": "float8",
    "weight": "float8",
    "particulars": "text",
    "sizes": "bytea",
    "prompt_sizes": "bytea",
    "dropped": "varchar",
    "nodes": "text",
}


@dataclass(frozen=True)
class Found:
    """The rows of one batch, with the reason in `dropped` where a gate keeps one out, and of each rating the key of its
    prompt: the same for prompts that differ in no more than exact duplicates do."""

    rows: list[Candidate]
    prompt_keys: dict[uuid.UUID, str]


def candidates_of(release: Release, batch: int, specification: Specification) -> Found:
    """What the rules make of one batch."""
    members, receipts = members_of(release, "member.batch = %s", batch)
    comparisons, receipts_of_sides = _comparisons(release, batch)
    regenerated, receipts_of_earlier = _regenerated(release, batch)
    answered, receipts_of_answered = _answered(release, batch)
    used, receipts_of_used = _used(release, batch)
    receipts |= receipts_of_sides | receipts_of_earlier | receipts_of_answered | receipts_of_used
    paths = paths_above(receipts)
    prompts = prompts_of(receipts, paths)
    made = [
        *rows(members, prompts),
        *rows_of_comparisons(comparisons, prompts),
        *rows_of_regenerations(regenerated, members, prompts),
        *rows_of_answers(answered, prompts),
        *rows_of_signals(used, regenerated, prompts, specification.weak_rules),
        *trees(members, comparisons, paths, prompts),
    ]
    return Found(judge(made, specification), _prompt_keys(members, prompts))


def judge(made: Iterable[Candidate], specification: Specification) -> list[Candidate]:
    """Those that are wanted, as the gates see them that look at each row by itself."""
    wanted = [row for row in made if row.config in specification.configs]
    is_kept = specification.evaluation_prompts == "keep"
    runs = evaluations.runs_until(0 if is_kept else specification.evaluation_prompts_until)
    return judged(wanted, specification, evaluation_runs=runs)


def _prompt_keys(members: Iterable[Member], prompts: Mapping[uuid.UUID, Prompt]) -> dict[uuid.UUID, str]:
    """None of prompts that the model may not have seen just so."""
    sure = ((member.event_id, prompts[member.reply_id]) for member in members)
    return {
        event_id: _key(*(part for turn in prompt.messages for part in (turn["role"], turn["content"])))
        for event_id, prompt in sure
        if prompt.form != "unsure"
    }


def store_prompts(release: Release, batch: int, keys: Mapping[uuid.UUID, str]) -> None:
    """Write the keys of a batch in place of whatever an earlier attempt wrote; call it in a transaction."""
    RatedPrompt.objects.filter(release=release, batch=batch).delete()
    RatedPrompt.objects.bulk_create(
        RatedPrompt(release=release, batch=batch, key=key, event_id=event_id) for event_id, key in keys.items()
    )


def store(release: Release, batch: int, found: list[Candidate]) -> None:
    """Write the rows of a batch in place of whatever an earlier attempt wrote; call it in a transaction."""
    CandidateRow.objects.filter(release=release, batch=batch).delete()
    columns = ", ".join(_COLUMNS)
    statement = f"COPY feedback_candidaterow ({columns}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(list(_COLUMNS.values()))
        # In the order that they will have in their files, so that those are read from one place after the other.
        for row_id, row in sorted(((row.row_id, row) for row in found), key=itemgetter(0)):
            copy.write_row(_as_columns(release, batch, row_id, row))


def forget_lost(release: Release, batch: int, found: Iterable[Candidate]) -> None:
    """Delete the rows of a batch whose sources were taken out since they were read; call it while nobody withdraws."""
    held: set[uuid.UUID | None] = set()
    members = release.members.filter(batch=batch).values_list("event_id", "corrections", "ideal_from")
    for event_id, corrections, ideal_from in members:
        held |= {event_id, *corrections, ideal_from}
    if lost := {source for row in found for source in row.source_events} - held:
        CandidateRow.objects.filter(release=release, batch=batch, source_events__overlap=list(lost)).delete()


def members_of(
    release: Release, which: str, named: int | list[uuid.UUID]
) -> tuple[list[Member], dict[uuid.UUID, Receipt]]:
    """The ratings of a release for which `which` holds, a condition with one parameter."""
    members, receipts = [], {}
    with connection.cursor() as cursor:
        cursor.execute(_MEMBERS.replace("{which}", which), [release.pk, named])
        for *about, corrections, correction_ids, ideal_from, has_marks, prompt, turns, max_tokens in cursor.fetchall():
            edits = tuple(Edit(int(start), int(end), text) for start, end, text in corrections)
            member = Member(*[*about, edits, tuple(correction_ids), ideal_from, has_marks])
            members.append(member)
            receipts[member.reply_id] = Receipt(prompt, turns, max_tokens)
    return members, receipts


def _comparisons(release: Release, batch: int) -> tuple[list[Compared], dict[uuid.UUID, Receipt]]:
    comparisons, receipts = [], {}
    with connection.cursor() as cursor:
        cursor.execute(_COMPARED, [release.pk, batch])
        for found in cursor.fetchall():
            one, receipts_of_sides = _compared(found)
            receipts.update(receipts_of_sides)
            comparisons.append(one)
    return comparisons, receipts


def _compared(found: tuple[Any, ...]) -> tuple[Compared, dict[uuid.UUID, Receipt]]:
    """What `_WITH_SIDES` selects."""
    about, sides = found[:7], (found[7:15], found[15:])
    left, right = (Side(*side[:5]) for side in sides)
    return Compared(*[*about, left, right]), {side[0]: Receipt(*side[5:]) for side in sides}


def _answered(release: Release, batch: int) -> tuple[list[Answered], dict[uuid.UUID, Receipt]]:
    answered, receipts = [], {}
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERED, [release.pk, batch])
        for answer_id, text, *found in cursor.fetchall():
            one, receipts_of_sides = _compared(tuple(found))
            receipts.update(receipts_of_sides)
            answered.append(Answered(answer_id, text, one))
    return answered, receipts


def _regenerated(release: Release, batch: int) -> tuple[list[Regenerated], dict[uuid.UUID, Receipt]]:
    found, receipts = [], {}
    with connection.cursor() as cursor:
        cursor.execute(_REGENERATED, [release.pk, batch])
        for *about, system_prompt, turns, max_tokens in cursor.fetchall():
            one = Regenerated(*about)
            found.append(one)
            receipts[one.reply_id] = Receipt(system_prompt, turns, max_tokens)
    return found, receipts


def _used(release: Release, batch: int) -> tuple[list[Used], dict[uuid.UUID, Receipt]]:
    found, receipts = [], {}
    with connection.cursor() as cursor:
        cursor.execute(_USED, [release.pk, batch])
        for *about, signal_ids, kinds, system_prompt, turns, max_tokens in cursor.fetchall():
            one = Used(*[*about, tuple(signal_ids), frozenset(kinds)])
            found.append(one)
            receipts[one.reply_id] = Receipt(system_prompt, turns, max_tokens)
    return found, receipts


def _as_columns(release: Release, batch: int, row_id: str, row: Candidate) -> tuple[Any, ...]:
    contents, said = [turn["content"] for turn in row.prompt], particulars(row)
    return (
        release.pk,
        batch,
        row.config,
        row_id,
        # Every vote counts, whoever gave the same one.
        row_id if row.winner else _key(row.config, *row.texts, str(row.label)),
        _key(*row.asked),
        row.user_id,
        row.other_user_id,
        list(row.source_events),
        [turn["role"] for turn in row.prompt],
        contents,
        row.chosen,
        row.rejected,
        row.confidence,
        row.weight,
        said,
        *sizes(contents, row.chosen, row.rejected, said),
        row.dropped,
        row.nodes,
    )


def sizes(contents: Sequence[str], *texts: str) -> tuple[bytes, bytes]:
    """`CandidateRow.sizes` and `prompt_sizes`; the texts are `chosen`, `rejected` and `particulars`."""
    numbers = [len(contents), *(len(text.encode()) for text in texts)]
    turns = [len(content.encode()) for content in contents]
    return struct.pack(f">{len(numbers)}i", *numbers), struct.pack(f">{len(turns)}i", *turns)


def particulars(row: Candidate) -> str:
    """What is said of a row besides its words, as JSON."""
    said = {"prompt_roles": [turn["role"] for turn in row.prompt], "length_shift": row.length_shift, **vars(row)}
    return json.dumps([said[name] for name in PARTICULARS], ensure_ascii=False, separators=(",", ":"))


def _key(*texts: str) -> str:
    """The same for texts that differ in letter case, spacing and forms of the same character alone."""
    plain = "\n".join(" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in texts)
    return hashlib.sha256(plain.encode()).hexdigest()
