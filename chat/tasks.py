"""Celery's way in."""

import uuid

from celery import shared_task
from django.utils import timezone

from chat import reply as replies
from chat import retention


@shared_task(name="chat.tasks.reply")
def reply(reply_id: str) -> None:
    replies.write(uuid.UUID(reply_id))


@shared_task(name="chat.tasks.sweep")
def sweep() -> None:
    replies.sweep(now=timezone.now())


@shared_task(name="chat.tasks.sweep_conversations")
def sweep_conversations() -> None:
    retention.sweep(now=timezone.now())
