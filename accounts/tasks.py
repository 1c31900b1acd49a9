"""Celery's way in: each task calls one function that could as well be called by hand."""

from __future__ import annotations

import uuid

from celery import shared_task
from django.utils import timezone

from accounts import activity, data_copies, erasure, letters, sessions
from accounts.webhooks import sending


@shared_task
def make_data_copy(copy_id: str) -> None:
    data_copies.make(uuid.UUID(copy_id), now=timezone.now())


@shared_task
def note_failed_sign_in(email: str, address: str | None) -> None:
    activity.note_failed_sign_in(email=email, address=address, now=timezone.now())


@shared_task
def tidy() -> None:
    """Erase who asked for it a fortnight ago; remove copies of data that expired; make again what a crash left;
    forget old deliveries, sessions that ended, and letters kept on this machine."""
    now = timezone.now()
    erasure.erase_due(now=now)
    data_copies.remove_expired(now=now)
    data_copies.resume(now=now)
    sending.forget_old(now=now)
    sessions.remove_ended()
    letters.remove_old(now=now)


@shared_task
def deliver_webhook(delivery_id: str) -> None:
    sending.deliver(uuid.UUID(delivery_id), now=timezone.now())


@shared_task
def deliver_due_webhooks() -> None:
    """By the clock: tries that are due again, and those whose wake-up was lost."""
    for delivery_id in sending.due(now=timezone.now()):
        deliver_webhook.delay(str(delivery_id))
