"""The Celery application: one queue for each plan's replies, one for everything else."""

import os

from celery import Celery
from celery.signals import worker_ready

from config import garbage

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("parley")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def _settle(**_signal: object) -> None:
    garbage.settle()
