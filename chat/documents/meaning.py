"""Vectors of meaning from the model service: of passages when a document was read, of a question when it is asked."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import httpx
from django.conf import settings

from chat.inference import CONNECT_SECONDS, ModelUnavailable, address
from chat.models import Document, Passage

logger = logging.getLogger(__name__)

BATCH = 32
BATCH_SECONDS = 60.0
# A question is waited for by somebody; without its vector words still find passages.
QUESTION_SECONDS = 4.0

Vector = list[float]


@lru_cache(maxsize=1)
def _client() -> httpx.Client:
    key = settings.INFERENCE_API_KEY
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(headers=headers)


def vectors(texts: Sequence[str], *, seconds: float = BATCH_SECONDS) -> list[Vector]:
    """A vector of length 1 for each text. Raises `ModelUnavailable` when the service or its model is away."""
    body = {"model": settings.EMBEDDING_MODEL, "input": [text[:4_000] for text in texts]}
    try:
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        response = _client().post(address("/v1/embeddings"), json=body, timeout=timeout)
        response.raise_for_status()
        found = [[float(value) for value in row["embedding"]] for row in response.json()["data"]]
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise ModelUnavailable("the model service gave no vectors") from error
    if len(found) != len(texts):
        raise ModelUnavailable("the model service left vectors out")
    return found


def embed_document(document_id: uuid.UUID, *, now: datetime) -> bool:
    """Give every passage that has none its vector; whether the document is done. Goes on where it was broken off."""
    bare = Passage.objects.filter(document=document_id, embedding=None).order_by("position")
    try:
        while passages := list(bare[:BATCH]):
            texts = [f"{passage.heading}\n{passage.content}".strip() for passage in passages]
            for passage, vector in zip(passages, vectors(texts), strict=True):
                passage.embedding = vector
            Passage.objects.bulk_update(passages, ["embedding"])
    except ModelUnavailable as away:
        logger.warning("Document %s is found by words alone for now: %s", document_id, away)
        return False
    Document.objects.filter(pk=document_id).update(embedded_at=now)
    return True
