"""Secrets of endpoints, and headers that tell a receiver that it was us, when, and that nothing was changed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

BEGINNING = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """As receivers' libraries expect it; shown to the person once."""
    return BEGINNING + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sealed(secret: str) -> str:
    """The secret as it is stored: of no use without SECRET_KEY."""
    return _box().encrypt(secret.encode()).decode()


def headers(*, message_id: str, body: bytes, stored_secrets: list[str], now: datetime) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` and `webhook-signature`, with one signature for each secret in force."""
    stamp = str(int(now.timestamp()))
    signed = b".".join([message_id.encode(), stamp.encode(), body])
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(_signature(stored, signed) for stored in stored_secrets),
    }


def _signature(stored: str, signed: bytes) -> str:
    secret = _box().decrypt(stored.encode()).decode()
    key = base64.b64decode(secret.removeprefix(BEGINNING))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _box() -> MultiFernet:
    """Opens with SECRET_KEY and those before it, so that the key can be changed."""
    return MultiFernet([Fernet(_derived(key)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _derived(key: str) -> bytes:
    return base64.urlsafe_b64encode(hmac.new(key.encode(), b"accounts.webhooks", hashlib.sha256).digest())
