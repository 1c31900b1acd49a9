"""Prompts that a person keeps: by name, with words to fill in."""

from __future__ import annotations

import re
import uuid

from django.db import IntegrityError, transaction

from accounts.models import User
from chat.models import SavedPrompt

PROMPTS = 200
_VARIABLE = re.compile(r"\{\{\s*([^{}\n]{1,40}?)\s*\}\}")


class NameTaken(Exception):  # noqa: N818
    """The person has another prompt of that name, or as many prompts as there can be."""


def variables(text: str) -> list[str]:
    """The words in `{{…}}`, each once, in the order they come."""
    return list(dict.fromkeys(_VARIABLE.findall(text)))


def save(*, user: User, name: str, text: str, prompt_id: uuid.UUID | None = None) -> SavedPrompt:
    """A new prompt, or the changed one with that id. Raises `NameTaken` and `SavedPrompt.DoesNotExist`."""
    prompt = SavedPrompt.objects.get(pk=prompt_id, user=user) if prompt_id else SavedPrompt(user=user)
    if not prompt_id and SavedPrompt.objects.filter(user=user).count() >= PROMPTS:
        raise NameTaken
    prompt.name, prompt.text = " ".join(name.split()), text
    try:
        with transaction.atomic():
            prompt.save()
    except IntegrityError as error:
        raise NameTaken from error
    return prompt
