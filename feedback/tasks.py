"""Celery's way in."""

import uuid

from celery import shared_task
from django.utils import timezone

from feedback import releasing
from feedback.release import building


@shared_task(name="feedback.tasks.build_release", acks_late=True)
def build_release(release_id: str) -> None:
    building.work(uuid.UUID(release_id))


@shared_task(name="feedback.tasks.sweep_releases")
def sweep_releases() -> None:
    releasing.sweep(now=timezone.now())
