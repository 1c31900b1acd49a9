"""Passages that a question is about: three searches, by words, by substrings and by meaning, fused by reciprocal rank.

Reciprocal rank fusion: Cormack, Clarke and Büttcher (2009), https://doi.org/10.1145/1571941.1572114.
"""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import connection

from chat.documents import meaning
from chat.inference import ModelUnavailable
from chat.models import Passage

CANDIDATES = 30
FUSION = 60
# Below it, all-MiniLM-L6-v2 says of two texts only that both are text.
LEAST_SIMILARITY = 0.2
MOST_GRAMS = 80
_WORD = re.compile(r"[^\W_]{3,}|\d+")
_WIDE_RUN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af]+")


@dataclass(frozen=True)
class Found:
    """A passage and its rank in each search that found it; `meaning` is None when that search could not be made."""

    passage: Passage
    ranks: dict[str, int | None] = field(default_factory=dict)


def find(*, document_ids: Sequence[uuid.UUID], question: str) -> list[Found]:
    """The passages closest to the question, best first; the documents' beginnings when none is close."""
    ids = list(document_ids)
    try:
        by_meaning: list[int] | None = _by_meaning(ids, question)
    except ModelUnavailable:
        by_meaning = None
    searches = {"words": _by_words(ids, question), "substrings": _by_substrings(ids, question)}
    ranks: dict[int, dict[str, int | None]] = defaultdict(dict)
    for name, found in [*searches.items(), ("meaning", by_meaning or [])]:
        for rank, passage_id in enumerate(found, start=1):
            ranks[passage_id][name] = rank
    if by_meaning is None:
        for known in ranks.values():
            known["meaning"] = None
    best = sorted(ranks, key=lambda key: (-_fused(ranks[key]), key))[:CANDIDATES]
    if not best:
        return _beginnings(ids, is_away=by_meaning is None)
    passages = Passage.objects.select_related("document").defer("embedding").in_bulk(best)
    return [Found(passages[key], ranks[key]) for key in best if key in passages]


def _fused(ranks: dict[str, int | None]) -> float:
    return sum(1 / (FUSION + rank) for rank in ranks.values() if rank is not None)


def _beginnings(ids: list[uuid.UUID], *, is_away: bool) -> list[Found]:
    """ "Summarise this" is close to no passage: what a document begins with says best what it is."""
    first = Passage.objects.filter(document__in=ids).select_related("document").defer("embedding")
    ranks: dict[str, int | None] = {"meaning": None} if is_away else {}
    return [Found(passage, ranks) for passage in first.order_by("position", "document__created_at")[:CANDIDATES]]


# Any of the words may be enough, and their nearness to each other tells who comes first.
_WORDS = """
WITH asked AS (SELECT replace(plainto_tsquery('english', %(question)s)::text, '&', '|')::tsquery AS query),
pool AS (
    SELECT id, to_tsvector('english', heading || ' ' || content) AS words
    FROM chat_passage WHERE document_id = ANY(%(documents)s)
)
SELECT id FROM pool, asked WHERE words @@ query
ORDER BY ts_rank_cd(words, query, 1) DESC, id LIMIT %(limit)s
"""


def _by_words(ids: list[uuid.UUID], question: str) -> list[int]:
    return _ids(_WORDS, {"question": question, "documents": ids, "limit": CANDIDATES})


# A gram that few passages have says more than one that many have.
_SUBSTRINGS = """
WITH pool AS (
    SELECT id, lower(heading || ' ' || content) AS text FROM chat_passage WHERE document_id = ANY(%(documents)s)
),
hit AS (SELECT pool.id, gram FROM pool JOIN unnest(%(grams)s::text[]) AS gram ON strpos(pool.text, gram) > 0),
weight AS (SELECT gram, ln(1 + (SELECT count(*) FROM pool)::float / count(*)) AS rarity FROM hit GROUP BY gram)
SELECT id FROM hit JOIN weight USING (gram) GROUP BY id ORDER BY sum(rarity) DESC, id LIMIT %(limit)s
"""


def grams_of(question: str) -> list[str]:
    """Words of three letters and more, numbers, and pairs of neighbours in Chinese, which writes no spaces."""
    question = question.lower()
    words = [word for word in _WORD.findall(_WIDE_RUN.sub(" ", question)) if not _SILENT.fullmatch(word)]
    runs = _WIDE_RUN.findall(question)
    pairs = [run[start : start + 2] for run in runs for start in range(max(1, len(run) - 1))]
    return list(dict.fromkeys([*words, *pairs]))[:MOST_GRAMS]


_SILENT = re.compile(
    "the|and|for|are|was|were|wh(at|om?|en|ere|ich|y)|how|does|did|has|have|had|with|from|that|this|th[eo]se|there|"
    "their|they|you|your|about|into|can|could|will|would|should|tell|please"
)


def _by_substrings(ids: list[uuid.UUID], question: str) -> list[int]:
    grams = grams_of(question)
    return _ids(_SUBSTRINGS, {"grams": grams, "documents": ids, "limit": CANDIDATES}) if grams else []


_MEANING = """
WITH pool AS (
    SELECT id, embedding::vector <=> %(vector)s::float8[]::vector AS distance FROM chat_passage
    WHERE document_id = ANY(%(documents)s) AND cardinality(embedding) = %(dimensions)s
)
SELECT id FROM pool WHERE distance <= %(farthest)s ORDER BY distance, id LIMIT %(limit)s
"""


def _by_meaning(ids: list[uuid.UUID], question: str) -> list[int]:
    """Raises `ModelUnavailable`."""
    vector = meaning.vectors([question], seconds=meaning.QUESTION_SECONDS)[0]
    return nearest(ids, vector) if has_pgvector() else scan(ids, vector)


def nearest(ids: list[uuid.UUID], vector: meaning.Vector) -> list[int]:
    """The passages whose vectors point where `vector` does, by pgvector."""
    farthest = 1 - LEAST_SIMILARITY
    values = {"vector": vector, "documents": ids, "dimensions": len(vector), "farthest": farthest, "limit": CANDIDATES}
    return _ids(_MEANING, values)


def scan(ids: list[uuid.UUID], vector: meaning.Vector) -> list[int]:
    """The same search for a server without pgvector: every passage is looked at."""
    kept = Passage.objects.filter(document__in=ids).values_list("id", "embedding")
    rows = [(passage_id, embedding) for passage_id, embedding in kept if embedding and len(embedding) == len(vector)]
    if not rows:
        return []
    similarities = np.array([embedding for _id, embedding in rows]) @ np.array(vector)
    nearest = sorted(range(len(rows)), key=lambda index: (-similarities[index], rows[index][0]))[:CANDIDATES]
    return [rows[index][0] for index in nearest if similarities[index] >= LEAST_SIMILARITY]


def has_pgvector() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector')")
        return bool(cursor.fetchone()[0])


def _ids(statement: str, values: dict[str, Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [row[0] for row in cursor.fetchall()]
