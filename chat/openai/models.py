"""What programs asked for: one row for each completion, without its text."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, new_id


class Completion(models.Model):
    """One request to `/v1`: who, with which key, for what, and what it used. Its id is the reservation's as well."""

    class State(models.TextChoices):
        RUNNING = "running", _("Writing")
        COMPLETE = "complete", _("Complete")
        BROKEN_OFF = "broken_off", _("Broken off")
        FAILED = "failed", _("Failed")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="completions")
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="completions")
    endpoint = models.CharField(max_length=20)
    model = models.CharField(max_length=120)
    is_streamed = models.BooleanField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    reserved_tokens = models.PositiveBigIntegerField()
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    # Of a request with an Idempotency-Key: what was asked, as a digest, and the answer as it was sent, for a day.
    idempotency_key = models.CharField(max_length=255, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    answer = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "idempotency_key"], name="completion_asked_once", condition=~Q(idempotency_key="")
            ),
            models.CheckConstraint(
                name="completion_finished_has_time",
                condition=Q(state="running", finished_at__isnull=True)
                | (~Q(state="running") & Q(finished_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="completions_of_user"),
            models.Index(fields=["created_at"], name="completions_running", condition=Q(state="running")),
            models.Index(fields=["created_at"], name="completions_kept", condition=~Q(idempotency_key="")),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.state} {self.id}"

    @property
    def request_id(self) -> str:
        """What `x-request-id` says."""
        return f"req_{self.id.hex}"
