"""Celery's way in."""

import uuid

from celery import shared_task
from django.utils import timezone

from feedback import releasing, settling, signals
from feedback.models import Release
from feedback.release import erasing


@shared_task(name="feedback.tasks.build_release", acks_late=True)
def build_release(release_id: str) -> None:
    from feedback.release import building  # Arrow with it, which workers that write replies never need

    building.work(uuid.UUID(release_id))


@shared_task(name="feedback.tasks.load_check", acks_late=True)
def load_check(release_id: str) -> None:
    from feedback.release import loading  # Arrow, as above

    loading.check_apart(Release.objects.get(pk=release_id))


@shared_task(name="feedback.tasks.erase", acks_late=True)
def erase() -> None:
    erasing.begin(now=timezone.now())


@shared_task(name="feedback.tasks.sweep_releases")
def sweep_releases() -> None:
    erasing.begin(now=timezone.now())
    erasing.sweep(now=timezone.now())
    releasing.sweep(now=timezone.now())


@shared_task(name="feedback.tasks.note_ignored_questions")
def note_ignored_questions() -> None:
    signals.note_ignored(now=timezone.now())


@shared_task(name="feedback.tasks.settle_ratings")
def settle_ratings() -> None:
    settling.settle_what_enough_have_read(now=timezone.now())
