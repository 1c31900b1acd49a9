"""Deliver what was stored: at least once, later and later while it fails, and write down every try."""

from __future__ import annotations

import random
import threading
import time
import uuid
from datetime import datetime, timedelta

import httpcore
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import letters
from accounts.models import WebhookDelivery, WebhookEndpoint, WebhookTry
from accounts.webhooks import endpoints, network, signing

# After the first try, which is at once. Two days in all, so that a receiver may be down over a weekend's night.
WAITS = [timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2),
         timedelta(hours=6), timedelta(hours=14), timedelta(hours=24)]  # fmt: skip
LEASE = timedelta(seconds=60)
PAUSED_AFTER = timedelta(days=3)
KEPT = timedelta(days=30)
AT_ONCE = 8
# Receivers that dawdle must not take the threads that write replies.
_slots = threading.BoundedSemaphore(AT_ONCE)

State = WebhookDelivery.State


def deliver(delivery_id: uuid.UUID, *, now: datetime) -> None:
    """Try once, if it is due and nobody else is at it; when this worker is busy it stays due for the clock."""
    if not _slots.acquire(blocking=False):
        return
    try:
        delivery = _claim(delivery_id, now)
        if delivery is not None:
            _try(delivery, now)
    finally:
        _slots.release()


def due(*, now: datetime, at_most: int = 200) -> list[uuid.UUID]:
    """What waits to be tried, longest first."""
    waiting = WebhookDelivery.objects.filter(state=State.WAITING, due_at__lte=now).order_by("due_at")
    return list(waiting.values_list("id", flat=True)[:at_most])


def send_again(*, delivery: WebhookDelivery, now: datetime) -> None:
    """On a person's wish: from the first try on, whatever became of it before."""
    from accounts.tasks import deliver_webhook

    WebhookDelivery.objects.filter(pk=delivery.pk).update(state=State.WAITING, due_at=now, tries=0)
    transaction.on_commit(lambda: deliver_webhook.delay(str(delivery.pk)), robust=True)


def forget_old(*, now: datetime) -> int:
    """Remove the log's rows whose time is over; returns how many."""
    old = WebhookDelivery.objects.filter(created_at__lt=now - KEPT).exclude(state=State.WAITING)
    return old.delete()[0]


def _claim(delivery_id: uuid.UUID, now: datetime) -> WebhookDelivery | None:
    """One statement takes it: of two workers, one sees it due."""
    claimed = WebhookDelivery.objects.filter(pk=delivery_id, state=State.WAITING, due_at__lte=now)
    if not claimed.update(due_at=now + LEASE, tries=F("tries") + 1):
        return None
    return WebhookDelivery.objects.select_related("endpoint__user").get(pk=delivery_id)


def _try(delivery: WebhookDelivery, now: datetime) -> None:
    body = delivery.body.encode()
    headers = signing.headers(
        message_id=delivery.message_id,
        body=body,
        stored_secrets=endpoints.secrets_in_force(delivery.endpoint, now=now),
        now=now,
    )
    status, error, begun = None, "", time.monotonic()
    try:
        status = network.post(delivery.endpoint.url, body=body, headers=headers).status
    except network.Refused as refusal:
        error = str(refusal)
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as failure:
        error = f"{type(failure).__name__}: {failure}"
    spent = int((time.monotonic() - begun) * 1000)
    _record(delivery, WebhookTry(status=status, error=error[:200], milliseconds=spent), timezone.now())


@transaction.atomic
def _record(delivery: WebhookDelivery, tried: WebhookTry, now: datetime) -> None:
    tried.delivery, tried.tried_at = delivery, now
    tried.save()
    own = WebhookDelivery.objects.filter(pk=delivery.pk, state=State.WAITING)
    if tried.status is not None and 200 <= tried.status < 300:
        own.update(state=State.DELIVERED, due_at=None)
        WebhookEndpoint.objects.filter(pk=delivery.endpoint_id).update(failing_since=None)
        return
    if delivery.tries > len(WAITS):
        own.update(state=State.FAILED, due_at=None)
        _pause_if_hopeless(delivery.endpoint, now)
    else:
        own.update(due_at=now + WAITS[delivery.tries - 1] * random.uniform(0.9, 1.1))  # noqa: S311 - spreads load
    WebhookEndpoint.objects.filter(pk=delivery.endpoint_id, failing_since=None).update(failing_since=now)


def _pause_if_hopeless(endpoint: WebhookEndpoint, now: datetime) -> None:
    """Nothing was taken for days: stop, and tell the person."""
    hopeless = WebhookEndpoint.objects.filter(pk=endpoint.pk, paused_at=None, failing_since__lte=now - PAUSED_AFTER)
    if hopeless.update(paused_at=now):
        transaction.on_commit(lambda: _tell(endpoint), robust=True)


def _tell(endpoint: WebhookEndpoint) -> None:
    letters.send(
        endpoint.user,
        kind=letters.Kind.WEBHOOK_PAUSED,
        subject=_("Your webhook is paused"),
        template="accounts/mail/webhook_paused.txt",
        context=lambda: {"endpoint": endpoint, "url": settings.SITE_URL + reverse("webhooks")},
    )
