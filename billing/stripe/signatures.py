"""Whether a webhook came from Stripe, just now."""

from __future__ import annotations

import time

import stripe
from django.conf import settings

SIGNATURE_TOLERANCE_SECONDS = 300


class BadSignature(ValueError):  # noqa: N818 - reads as what it is at the place that raises it
    """The body did not come from Stripe, or not just now."""


def verify(body: bytes, signature: str) -> None:
    """Raise `BadSignature` unless one of our secrets signed `body` within five minutes of now, either way."""
    secrets = [secret.strip() for secret in settings.STRIPE_WEBHOOK_SECRET.split(",") if secret.strip()]
    if not any(_is_signed(body, signature, secret) for secret in secrets):
        raise BadSignature


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, SIGNATURE_TOLERANCE_SECONDS)
        signed_at = int(next(part for part in signature.split(",") if part.startswith("t="))[2:])
    except (stripe.SignatureVerificationError, TypeError, ValueError, AttributeError, OverflowError, StopIteration):
        return False
    return signed_at <= time.time() + SIGNATURE_TOLERANCE_SECONDS
