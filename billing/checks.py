"""What must not go to production unnoticed: a simulated Stripe, test keys, or an API version nobody looked at."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from billing import stripe


@register()
def check_stripe(**_arguments: Any) -> list[CheckMessage]:
    """Errors for settings under which money would not move, or would move unseen."""
    return [*_version(), *(_production() if _is_production() else [])]


def _version() -> list[CheckMessage]:
    if stripe.SDK_API_VERSION == stripe.API_VERSION:
        return []
    text = f"The stripe package speaks {stripe.SDK_API_VERSION}, this code was written for {stripe.API_VERSION}."
    hint = "Read Stripe's changelog between the two, adapt billing/stripe, then change API_VERSION in its client.py."
    return [Error(text, hint=hint, id="billing.E001")]


def _production() -> list[CheckMessage]:
    errors: list[CheckMessage] = []
    if settings.STRIPE_API_BASE and _is_loopback(settings.STRIPE_API_BASE):
        hint = "Unset STRIPE_API_BASE to use Stripe."
        errors.append(Error("STRIPE_API_BASE is on this machine: no money would move.", hint=hint, id="billing.E002"))
    if settings.STRIPE_API_KEY.startswith(("sk_test_", "rk_test_")):
        hint = "Use a live restricted key (rk_live_…), or run with DEBUG=1 or an http SITE_URL to try things."
        errors.append(Error("STRIPE_API_KEY is a test key: no money would move.", hint=hint, id="billing.E003"))
    if settings.STRIPE_API_KEY and not settings.STRIPE_WEBHOOK_SECRET:
        hint = "Set it to the signing secret of the endpoint (whsec_…)."
        errors.append(Error("STRIPE_WEBHOOK_SECRET is not set.", hint=hint, id="billing.E004"))
    return errors


def _is_production() -> bool:
    return not settings.DEBUG and urlsplit(settings.SITE_URL).scheme == "https"


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
