"""Store that something happened, for every endpoint that wants to know, in the transaction in which it happened."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import User, WebhookDelivery, WebhookEndpoint

Event = WebhookEndpoint.Event
TEST = "webhook.test"


def publish(*, user_id: Any, event: Event, subject: str, data: dict[str, Any], now: datetime) -> int:
    """Tell the person's endpoints of `event`; returns how many. The same `subject` is told once.

    `data` names things by id and holds no text of anybody's: receivers fetch what they need with their key.
    """
    wanting = WebhookEndpoint.objects.filter(user_id=user_id, paused_at=None, events__contains=[event])
    return _store(list(wanting), event, subject, data, now)


def is_wanted(*, user_id: Any, event: Event) -> bool:
    """Whether it is worth finding out more about an event."""
    return WebhookEndpoint.objects.filter(user_id=user_id, paused_at=None, events__contains=[event]).exists()


def people_wanting(event: Event) -> list[User]:
    """Everybody with an endpoint for events that concern no person in particular."""
    return list(
        User.objects.filter(
            webhook_endpoints__paused_at=None, webhook_endpoints__events__contains=[event], is_active=True
        ).distinct()
    )


def send_test(*, endpoint: WebhookEndpoint, now: datetime) -> None:
    """An event that says only that it is a test; sent to paused endpoints too."""
    _store([endpoint], TEST, now.isoformat(), {"endpoint": str(endpoint.pk)}, now)


def _store(endpoints: list[WebhookEndpoint], event: str, subject: str, data: dict[str, Any], now: datetime) -> int:
    if not endpoints:
        return 0
    body = json.dumps({"type": event, "timestamp": now.isoformat(), "data": data}, ensure_ascii=False)
    rows = [
        WebhookDelivery(endpoint=endpoint, event=event, subject=subject, body=body, created_at=now, due_at=now)
        for endpoint in endpoints
    ]
    WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True)
    transaction.on_commit(lambda: _wake(rows), robust=True)
    return len(rows)


def _wake(rows: list[WebhookDelivery]) -> None:
    from accounts.tasks import deliver_webhook

    for row in rows:
        deliver_webhook.delay(str(row.pk))
