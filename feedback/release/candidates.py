"""The first step of a release: one batch of ratings becomes candidate rows, each judged by what it says itself."""

from __future__ import annotations

import hashlib
import unicodedata
import uuid
from typing import Any

from django.db import connection

from feedback.release.gates.judging import judged
from feedback.release.models import CandidateRow, Release
from feedback.release.prompts import Receipt, prompts_of
from feedback.release.rules import Candidate, Member, rows
from feedback.release.specification import Specification

_MEMBERS = """
SELECT member.event_id, event.user_id, message.id, message.parent_id, event.value > 0, event.reasons, event.locale,
    COALESCE(event.snapshot ->> 'model_version', ''), member.n_reviews, member.ideal_text, message.content,
    reply.system_prompt, reply.prompt_turns, reply.max_tokens
FROM feedback_releasemember member
JOIN feedback_feedbackevent event ON event.id = member.event_id
JOIN chat_message message ON message.id = event.message_id
JOIN chat_reply reply ON reply.message_id = message.id
WHERE member.release_id = %s AND member.batch = %s ORDER BY event.user_id, message.parent_id, member.event_id
"""

_COLUMNS = {
    "release_id": "uuid",
    "batch": "int4",
    "config": "varchar",
    "row_id": "varchar",
    "duplicate_key": "varchar",
    "prompt_key": "varchar",
    "user_id": "uuid",
    "source_events": "uuid[]",
    "prompt_roles": "text[]",
    "prompt_contents": "text[]",
    "chosen": "text",
    "rejected": "text",
    "label": "bool",
    "rule": "varchar",
    "confidence": "float8",
    "model_version": "varchar",
    "locale": "varchar",
    "language": "varchar",
    "n_reviews": "int4",
    "reasons": "varchar[]",
    "prompt_form": "varchar",
    "dropped": "varchar",
}


def candidates_of(release: Release, batch: int, specification: Specification) -> list[Candidate]:
    """The rows of one batch, with the reason in `dropped` where a gate keeps one out."""
    members, receipts = _members(release, batch)
    made = [row for row in rows(members, prompts_of(receipts)) if row.config in specification.configs]
    return judged(made, specification)


def store(release: Release, batch: int, found: list[Candidate]) -> None:
    """Write the rows of a batch in place of whatever an earlier attempt wrote; call it in a transaction."""
    CandidateRow.objects.filter(release=release, batch=batch).delete()
    columns = ", ".join(_COLUMNS)
    statement = f"COPY feedback_candidaterow ({columns}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(list(_COLUMNS.values()))
        for row in found:
            copy.write_row(_as_columns(release, batch, row))


def _members(release: Release, batch: int) -> tuple[list[Member], dict[uuid.UUID, Receipt]]:
    members, receipts = [], {}
    with connection.cursor() as cursor:
        cursor.execute(_MEMBERS, [release.pk, batch])
        for *about, system_prompt, turns, max_tokens in cursor.fetchall():
            member = Member(*about)
            members.append(member)
            receipts[member.reply_id] = Receipt(system_prompt, turns, max_tokens)
    return members, receipts


def _as_columns(release: Release, batch: int, row: Candidate) -> tuple[Any, ...]:
    return (
        release.pk,
        batch,
        row.config,
        row.row_id,
        _key(row.config, *row.texts, str(row.label)),
        _key(*row.texts[:-2]),
        row.user_id,
        list(row.source_events),
        [turn["role"] for turn in row.prompt],
        [turn["content"] for turn in row.prompt],
        row.chosen,
        row.rejected,
        row.label,
        row.rule,
        row.confidence,
        row.model_version,
        row.locale,
        row.language,
        row.n_reviews,
        list(row.reasons),
        row.prompt_form,
        row.dropped,
    )


def _key(*texts: str) -> str:
    """The same for texts that differ in letter case, spacing and forms of the same character alone."""
    plain = "\n".join(" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in texts)
    return hashlib.sha256(plain.encode()).hexdigest()
