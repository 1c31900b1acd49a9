"""Celery's way in."""

import uuid

from celery import shared_task
from django.utils import timezone

from feedback.release.build import build


@shared_task(name="feedback.tasks.build_release", acks_late=True)
def build_release(release_id: str) -> None:
    build(uuid.UUID(release_id), now=timezone.now())
