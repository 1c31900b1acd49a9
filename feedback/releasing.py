"""Ask for a release: freeze it now, let Celery write its files."""

from __future__ import annotations

from datetime import datetime

from celery import current_app
from django.db import transaction

from accounts.models import User
from feedback.models import Release
from feedback.release.membership import freeze


def make_release(*, made_by: User | None, now: datetime) -> Release:
    """A frozen release whose files are being written. Raises `feedback.release.membership.NothingToRelease`."""
    with transaction.atomic():
        release = freeze(made_by=made_by, now=now)
        transaction.on_commit(lambda: enqueue(release), robust=True)
    return release


def enqueue(release: Release) -> None:
    current_app.send_task("feedback.tasks.build_release", [str(release.pk)])
