"""Make, change and end endpoints; their secret is shown once and can be replaced without an outage."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User, WebhookEndpoint
from accounts.webhooks import network, signing

MOST_ENDPOINTS = 10
# How long the old secret signs beside the new one, so that a receiver can be switched without losing a message.
ROTATION_OVERLAP = timedelta(hours=24)


@transaction.atomic
def create(*, user: User, url: str, events: list[str], now: datetime) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret, which is never to be had again. Raises `ValidationError`."""
    check(url)
    User.objects.select_for_update(no_key=True).only("id").get(pk=user.pk)
    if WebhookEndpoint.objects.filter(user=user).count() >= MOST_ENDPOINTS:
        raise ValidationError(_("You have %(count)s webhooks. Remove one first.") % {"count": MOST_ENDPOINTS})
    secret = signing.new_secret()
    endpoint = WebhookEndpoint.objects.create(
        user=user, url=url, events=sorted(set(events)), secret=signing.sealed(secret), created_at=now
    )
    return endpoint, secret


def change(*, endpoint: WebhookEndpoint, url: str, events: list[str], is_paused: bool, now: datetime) -> None:
    """Another address, other events, or a pause; going on after one forgets how long it failed before."""
    if url != endpoint.url:
        check(url)
    endpoint.url, endpoint.events = url, sorted(set(events))
    endpoint.paused_at = (endpoint.paused_at or now) if is_paused else None
    if not is_paused:
        endpoint.failing_since = None
    endpoint.save(update_fields=["url", "events", "paused_at", "failing_since"])


@transaction.atomic
def rotate(*, endpoint: WebhookEndpoint, now: datetime) -> str:
    """A new secret; for a day, messages are signed with both."""
    endpoint = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
    secret = signing.new_secret()
    endpoint.previous_secret, endpoint.previous_until = endpoint.secret, now + ROTATION_OVERLAP
    endpoint.secret = signing.sealed(secret)
    endpoint.save(update_fields=["secret", "previous_secret", "previous_until"])
    return secret


def secrets_in_force(endpoint: WebhookEndpoint, *, now: datetime) -> list[str]:
    """As stored, the newest first."""
    is_overlapping = endpoint.previous_until is not None and endpoint.previous_until > now
    return [endpoint.secret, *([endpoint.previous_secret] if is_overlapping else [])]


def check(url: str) -> None:
    """Raises `ValidationError` for an address that could never be told anything."""
    try:
        network.check_url(url)
    except network.Refused as refusal:
        raise ValidationError(str(refusal)) from refusal
