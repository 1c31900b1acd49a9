"""Secrets of endpoints, and headers that tell a receiver that it was us, when, and that nothing was changed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

from accounts import sealing

BEGINNING = "whsec_"
SECRET_BYTES = 32
PURPOSE = "accounts.webhooks"


def new_secret() -> str:
    """As receivers' libraries expect it; shown to the person once."""
    return BEGINNING + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sealed(secret: str) -> str:
    """The secret as it is stored: of no use without SECRET_KEY."""
    return sealing.sealed(secret, purpose=PURPOSE)


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
    secret = sealing.opened(stored, purpose=PURPOSE)
    key = base64.b64decode(secret.removeprefix(BEGINNING))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
