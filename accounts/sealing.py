"""Secrets that must be read again, as they are stored: of no use without SECRET_KEY."""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class NotOurs(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """Sealed for something else, changed since, or with a SECRET_KEY that is not known any more."""


def sealed(text: str, *, purpose: str) -> str:
    """What is stored; it opens for the same purpose alone."""
    return _box(purpose).encrypt(text.encode()).decode()


def opened(stored: str, *, purpose: str) -> str:
    """The text that was sealed. Raises `NotOurs`."""
    try:
        return _box(purpose).decrypt(stored.encode()).decode()
    except InvalidToken as error:
        raise NotOurs(purpose) from error


def _box(purpose: str) -> MultiFernet:
    """Opens with SECRET_KEY and those before it, so that the key can be changed."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(_derived(key, purpose)) for key in keys])


def _derived(key: str, purpose: str) -> bytes:
    return base64.urlsafe_b64encode(hmac.new(key.encode(), purpose.encode(), hashlib.sha256).digest())
