"""Celery's way in."""

from celery import shared_task
from django.utils import timezone

from chat.openai import settlement


@shared_task(name="chat.openai.tasks.sweep")
def sweep() -> None:
    settlement.sweep(now=timezone.now())
