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
    left_a_loop: bool
    queued_at: datetime
    started_at: datetime
    is_stop_requested: bool
    prompt: list[dict[str, str]] = field(default_factory=list)
    # Whether all was looked up that the reply is made from: the model's tokenizer may have been away.
    is_complete: bool = False
    failure: str = ""
    # The request, where a question may come first, and the question that an earlier attempt came to.
    request: clarifying.Request | None = None
    asked: clarifying.Asked | None = None

    @classmethod
    def of(cls, reply: Reply) -> Draft:
        """All of it but what has to be looked up: the prompt, and whether a question comes first."""
        return cls(
            reply_id=reply.pk,
            user_id=reply.user_id,
            attempt=reply.attempts,
            priority=reply.priority,
            model=reply.model,
            sampling=reply.sampling,
            seed=reply.seed,
            max_tokens=reply.max_tokens,
            keeps_certainty=reply.keeps_certainty,
            checkpoint=reply.checkpoint,
            left_a_loop=bool(reply.timings.get("left_a_loop")),
            queued_at=reply.queued_at,
            started_at=reply.started_at or reply.queued_at,
            is_stop_requested=reply.stop_requested_at is not None,
        )

    @property
    def made_with(self) -> dict[str, Any]:
        """The part of every request that is made for this reply."""
        return {"model": self.model, "seed": self.seed, "priority": self.priority, "user": str(self.user_id)}

    def body(self, *, text: str = "", text_tokens: int = 0) -> dict[str, Any]:
        """The request for the reply, or for the rest of it after `text`."""
        messages = [*self.prompt, {"role": "assistant", "content": text}] if text else list(self.prompt)
        return {
            **self.made_with,
            "messages": messages,
            "max_tokens": self.max_tokens - text_tokens,
            "continue_final_message": bool(text),
            "add_generation_prompt": not text,  # vLLM refuses both at once
            **(certainty.ASKED if self.keeps_certainty else {}),
            **self.sampling,
        }


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
