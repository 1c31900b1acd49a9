"""`POST /v1/embeddings` in OpenAI's shape."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from inference.embedding import Embedder, Embeddings
from inference.errors import ModelNotFound
from inference.server.protocol import Text

MOST_INPUTS = 256
MOST_CHARACTERS = 20_000
Input = Annotated[Text, Field(min_length=1, max_length=MOST_CHARACTERS)]


class EmbeddingRequest(BaseModel):
    """One text or a list of texts; `encoding_format` as OpenAI's clients ask for it."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=200)
    input: Input | Annotated[list[Input], Field(min_length=1, max_length=MOST_INPUTS)]
    encoding_format: Literal["float", "base64"] = "float"


async def embed(embedder: Embedder, body: EmbeddingRequest) -> dict[str, Any]:
    """Vectors of length 1 for the texts, in their order. Raises ModelNotFound for another model."""
    if body.model != embedder.name or not embedder.is_available:
        raise ModelNotFound(body.model, [embedder.name] if embedder.is_available else [])
    texts = [body.input] if isinstance(body.input, str) else body.input
    embeddings = await asyncio.to_thread(embedder.embed, texts)
    return _answer(embedder.name, embeddings, body.encoding_format)


def _answer(name: str, embeddings: Embeddings, encoding: str) -> dict[str, Any]:
    rows = embeddings.vectors
    values = (
        [base64.b64encode(row.numpy().tobytes()).decode() for row in rows] if encoding == "base64" else rows.tolist()
    )
    return {
        "object": "list",
        "model": name,
        "data": [{"object": "embedding", "index": index, "embedding": value} for index, value in enumerate(values)],
        "usage": {"prompt_tokens": embeddings.tokens, "total_tokens": embeddings.tokens},
    }
