"""Wake workers for a release."""

from __future__ import annotations

from celery import current_app
from django.conf import settings

from feedback.release.models import Release


def enqueue_erasing() -> None:
    """A worker is told that somebody's words are to leave data sets."""
    current_app.send_task("feedback.tasks.erase")


def enqueue_load_check(release: Release) -> None:
    """A worker is told that somebody wants to know whether a release opens."""
    current_app.send_task("feedback.tasks.load_check", [str(release.pk)])


def enqueue(release: Release) -> None:
    """As many workers as one release may have are told that it has steps to do."""
    for _worker in range(settings.RELEASE_WORKERS):
        current_app.send_task("feedback.tasks.build_release", [str(release.pk)])
