"""What a person chose for one conversation and for all of them, and what it makes of a reply."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from accounts import prepared
from accounts.models import User
from billing.entitlements import Entitlement
from chat import offer
from chat.models import Conversation, Instructions

# The fields of a conversation that are its settings.
CHOSEN = ("model", "temperature", "reply_tokens", "shows_certainty", "asks_first")

# What stands in a system prompt above the person's own instructions.
ABOUT = "About the person you talk to:\n"
MANNER = "How they want you to reply:\n"


@dataclass(frozen=True)
class Choices:
    """Settings of one conversation; the empty ones are the site's, or the person's for all their conversations."""

    model: str = ""
    temperature: float | None = None
    reply_tokens: int | None = None
    shows_certainty: bool = False
    asks_first: bool | None = None

    def apply(self, conversation: Conversation) -> list[str]:
        """Set them on the conversation; returns the fields to save."""
        conversation.model, conversation.temperature = self.model, self.temperature
        conversation.reply_tokens, conversation.shows_certainty = self.reply_tokens, self.shows_certainty
        conversation.asks_first = self.asks_first
        return list(CHOSEN)


class ModelNotAllowed(Exception):  # noqa: N818
    """The conversation's model is not in the person's plan (any more)."""


def reply_fields(conversation: Conversation, user: User, entitlement: Entitlement) -> dict[str, Any]:
    """Model, system prompt and sampling of a reply in the conversation. Raises `ModelNotAllowed`."""
    model = model_of(conversation)
    if not offer.is_allowed(model, entitlement):
        raise ModelNotAllowed(model)
    sampling = dict(settings.CHAT_SAMPLING)
    if conversation.temperature is not None:
        sampling["temperature"] = conversation.temperature
    own = _instructions_of(user.pk)
    return {
        "model": model,
        "system_prompt": system_prompt(own),
        "sampling": sampling,
        "keeps_certainty": conversation.shows_certainty,
        "ask_threshold": settings.ASK_FIRST_THRESHOLD if _asks_first(conversation, own) else None,
    }


def _asks_first(conversation: Conversation, own: Instructions | None) -> bool:
    return bool(own and own.asks_first) if conversation.asks_first is None else conversation.asks_first


def asks_first(conversation: Conversation) -> bool:
    """Whether a reply in the conversation may be a question when the request is unclear."""
    return _asks_first(conversation, _instructions_of(conversation.user_id))


_INSTRUCTIONS = f"""
SELECT {prepared.columns(Instructions, of="own")} FROM chat_instructions own WHERE own.user_id = %(user)s
"""  # noqa: S608 - of our own columns


def _instructions_of(user_id: uuid.UUID) -> Instructions | None:
    return next((prepared.made(Instructions, row) for row in prepared.fetch(_INSTRUCTIONS, {"user": user_id})), None)


def ask_first(conversation: Conversation) -> None:
    """From the next reply on, ask first in this conversation."""
    conversation.asks_first = True
    conversation.save(update_fields=["asks_first"])


def longest_reply(conversation: Conversation, entitlement: Entitlement) -> int:
    """Tokens that a reply in the conversation may have at most."""
    return min(conversation.reply_tokens or entitlement.max_output_tokens, entitlement.max_output_tokens)


def system_prompt(own: Instructions | None) -> str:
    """The site's system prompt with the person's instructions below it."""
    about, manner = (own.about, own.manner) if own and own.is_on else ("", "")
    parts = [
        settings.CHAT_SYSTEM_PROMPT,
        f"{ABOUT}{about}" if about else "",
        f"{MANNER}{manner}" if manner else "",
    ]
    return "\n\n".join(part for part in parts if part)


def instructions_in(system_prompt: str) -> str:
    """The part of a reply's system prompt that the person wrote, with what stands above it; empty for none."""
    starts = [at for title in (ABOUT, MANNER) if (at := system_prompt.find(title)) >= 0]
    return system_prompt[min(starts) :] if starts else ""


def take_smaller_model(conversation: Conversation) -> None:
    """From the next reply on, the smaller model writes in this conversation."""
    conversation.model = settings.CHAT_SMALLER_MODEL or conversation.model
    conversation.save(update_fields=["model"])


def model_of(conversation: Conversation) -> str:
    return conversation.model or settings.CHAT_MODEL


def save(conversation: Conversation, choices: Choices) -> None:
    """Keep the settings; they act on the next reply."""
    conversation.save(update_fields=choices.apply(conversation))
