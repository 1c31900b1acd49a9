"""The gates a row passes by what it says itself; those that compare rows are in `feedback.release.choice`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from feedback.release.gates.contamination import contaminated
from feedback.release.gates.language import language_of
from feedback.release.gates.personal_data import findings, masked
from feedback.release.gates.shingles import Hashes
from feedback.release.rules import Candidate
from feedback.release.specification import Specification
from feedback.release.trees import MOST_MESSAGES


def judged(rows: Sequence[Candidate], specification: Specification, *, evaluation_runs: Hashes) -> list[Candidate]:
    """The rows with their language, and in `dropped` the first gate that keeps a row out."""
    known = contaminated([[row.instructions, *row.texts] for row in rows], evaluation_runs)
    return [_judged(row, specification, is_evaluated) for row, is_evaluated in zip(rows, known, strict=True)]


def _judged(row: Candidate, specification: Specification, is_evaluated: bool) -> Candidate:
    texts = row.texts
    said = [row.instructions, *texts]
    language = language_of("\n".join(texts))
    dropped = ""
    if row.confidence < specification.min_confidence:
        dropped = "too unsure"
    elif row.weight < specification.min_weight:
        dropped = "rater not believed"
    elif specification.languages and language not in specification.languages:
        dropped = "language"
    elif row.config not in ("prompts", "trees") and len(row.chosen.strip()) < specification.min_reply_characters:
        dropped = "too short"
    elif sum(map(len, texts)) > specification.max_row_characters or (row.nodes and len(row.prompt) > MOST_MESSAGES):
        dropped = "too long"
    elif is_evaluated:
        dropped = "evaluation prompt"
    elif specification.personal_data != "keep" and any(map(findings, said)):
        if specification.personal_data == "mask":
            instructions, *texts = masked(said)
            row = row.with_texts(texts, instructions)
        else:
            dropped = "personal data"
    return replace(row, language=language, dropped=dropped)
