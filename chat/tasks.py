"""Celery's way in."""

import uuid

from celery import shared_task
from django.utils import timezone

from chat import inference, retention, titles
from chat import reply as replies
from chat.consistency import measuring, proposing
from chat.documents import reading


@shared_task(name="chat.tasks.reply")
def reply(reply_id: str) -> None:
    replies.write(uuid.UUID(reply_id))


@shared_task(name="chat.tasks.sweep")
def sweep() -> None:
    replies.sweep(now=timezone.now())
    measuring.sweep(now=timezone.now())


@shared_task(name="chat.tasks.sweep_conversations")
def sweep_conversations() -> None:
    retention.sweep(now=timezone.now())


@shared_task(name="chat.tasks.title", autoretry_for=(inference.ModelUnavailable,), retry_backoff=5, max_retries=4)
def title(conversation_id: str) -> None:
    titles.make(uuid.UUID(conversation_id))


@shared_task(name="chat.tasks.read_document")
def read_document(document_id: str) -> None:
    reading.read(uuid.UUID(document_id), now=timezone.now())


@shared_task(name="chat.tasks.sweep_documents")
def sweep_documents() -> None:
    reading.sweep(now=timezone.now())


@shared_task(name="chat.tasks.reword")
def reword(check_id: str) -> None:
    proposing.make(uuid.UUID(check_id), now=timezone.now())


@shared_task(name="chat.tasks.measure_consistency")
def measure_consistency(check_id: str) -> None:
    measuring.measure(uuid.UUID(check_id), now=timezone.now())
