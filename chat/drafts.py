"""A reply that is to be written, and how it ended, apart from the database."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chat import certainty, clarifying
from chat.models import Reply


@dataclass
class Draft:
    """What a worker needs to write a reply, and nothing that needs the database."""

    reply_id: uuid.UUID
    user_id: uuid.UUID
    attempt: int
    priority: int
    model: str
    sampling: dict[str, Any]
    seed: int
    max_tokens: int
    keeps_certainty: bool
    checkpoint: str
    queued_at: datetime
    started_at: datetime
    prompt: list[dict[str, str]] = field(default_factory=list)
    failure: str = ""
    # The request, where a question may come first, and the question that an earlier attempt came to.
    request: clarifying.Request | None = None
    asked: clarifying.Asked | None = None


@dataclass
class Outcome:
    """How it ended: the text and the receipt."""

    state: Reply.State
    text: str = ""
    finish_reason: str = ""
    error: str = ""
    model_version: str = ""
    template_sha256: str = ""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    timings: dict[str, Any] = field(default_factory=dict)
    unsure: list[certainty.Span] = field(default_factory=list)
