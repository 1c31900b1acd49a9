"""The models that a person may choose from."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache

from billing.entitlements import Entitlement
from billing.models.plans import ANY_MODEL
from chat import inference

KEEP_SECONDS = 30
_KEY = "chat:models"


@dataclass(frozen=True)
class OfferedModel:
    name: str
    is_allowed: bool


def names() -> list[str]:
    """The models that the service answers with now, the default one first; only that one while the service is away."""
    known: list[str] | None = cache.get(_KEY)
    if known is not None:
        return known
    try:
        served = inference.model_names()
    except inference.ModelUnavailable:
        return [settings.CHAT_MODEL]
    found = [settings.CHAT_MODEL, *sorted(name for name in served if name != settings.CHAT_MODEL)]
    cache.set(_KEY, found, KEEP_SECONDS)
    return found


def is_allowed(name: str, entitlement: Entitlement) -> bool:
    """Whether the person's plan includes the model; every plan includes the default one and the smaller one."""
    return (
        name in (settings.CHAT_MODEL, settings.CHAT_SMALLER_MODEL)
        or ANY_MODEL in entitlement.models
        or name in entitlement.models
    )


def is_smaller(name: str) -> bool:
    """Whether it is the model by which people go on when a window's messages are used up."""
    return bool(name) and name == settings.CHAT_SMALLER_MODEL


def smaller_for(entitlement: Entitlement) -> str:
    """That model, where there is one and the plan lets people go on with it; else empty."""
    return settings.CHAT_SMALLER_MODEL if entitlement.smaller_model_messages else ""


def to(entitlement: Entitlement) -> list[OfferedModel]:
    """Every model, with whether this plan includes it."""
    return [OfferedModel(name, is_allowed(name, entitlement)) for name in names()]
