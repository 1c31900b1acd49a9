"""What a person chose for one conversation and for all of them, and what it makes of a reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from accounts.models import User
from billing.entitlements import Entitlement
from chat import offer
from chat.models import Conversation, Instructions


@dataclass(frozen=True)
class Choices:
    """Settings of one conversation; the empty ones are the site's."""

    model: str = ""
    temperature: float | None = None
    reply_tokens: int | None = None
    shows_certainty: bool = False

    def apply(self, conversation: Conversation) -> list[str]:
        """Set them on the conversation; returns the fields to save."""
        conversation.model, conversation.temperature = self.model, self.temperature
        conversation.reply_tokens, conversation.shows_certainty = self.reply_tokens, self.shows_certainty
        return ["model", "temperature", "reply_tokens", "shows_certainty"]


class ModelNotAllowed(Exception):  # noqa: N818
    """The conversation's model is not in the person's plan (any more)."""


def reply_fields(conversation: Conversation, user: User, entitlement: Entitlement) -> dict[str, Any]:
    """Model, system prompt and sampling of a reply in the conversation. Raises `ModelNotAllowed`."""
    model = conversation.model or settings.CHAT_MODEL
    if not offer.is_allowed(model, entitlement):
        raise ModelNotAllowed(model)
    sampling = dict(settings.CHAT_SAMPLING)
    if conversation.temperature is not None:
        sampling["temperature"] = conversation.temperature
    return {
        "model": model,
        "system_prompt": system_prompt(user),
        "sampling": sampling,
        "keeps_certainty": conversation.shows_certainty,
    }


def longest_reply(conversation: Conversation, entitlement: Entitlement) -> int:
    """Tokens that a reply in the conversation may have at most."""
    return min(conversation.reply_tokens or entitlement.max_output_tokens, entitlement.max_output_tokens)


def system_prompt(user: User) -> str:
    """The site's system prompt with the person's instructions below it."""
    own = Instructions.objects.filter(user=user, is_on=True).values_list("about", "manner").first()
    about, manner = own or ("", "")
    parts = [
        settings.CHAT_SYSTEM_PROMPT,
        f"About the person you talk to:\n{about}" if about else "",
        f"How they want you to reply:\n{manner}" if manner else "",
    ]
    return "\n\n".join(part for part in parts if part)


def save(conversation: Conversation, choices: Choices) -> None:
    """Keep the settings; they act on the next reply."""
    conversation.save(update_fields=choices.apply(conversation))
