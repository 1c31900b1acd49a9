"""Copies of one's data, and the end of an account."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User, new_id


class DataCopy(models.Model):
    """A zip of everything we have about a person, made on their wish and kept for some days."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Being made")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")
        GONE = "gone", _("Removed")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="data_copies")
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    size = models.PositiveBigIntegerField(default=0)
    asked_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("data copy")
        verbose_name_plural = _("data copies")
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(fields=["user"], name="one_data_copy_at_a_time", condition=Q(state="waiting")),
            models.CheckConstraint(
                name="data_copy_ready_expires", condition=~Q(state="ready") | Q(expires_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.id}"


class Deletion(models.Model):
    """A person's wish that their account be deleted; until `due_at` they can call it off."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE, related_name="deletion")
    asked_at = models.DateTimeField()
    due_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("deletion")
        verbose_name_plural = _("deletions")
        constraints = [models.CheckConstraint(name="deletion_cools_off", condition=Q(due_at__gt=F("asked_at")))]

    def __str__(self) -> str:
        return f"due {self.due_at:%Y-%m-%d}"


class ErasureReceipt(models.Model):
    """That an account was erased, when, and how many rows of what went; it names nobody."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    erased_at = models.DateTimeField()
    counts = models.JSONField(default=dict)
    kept = models.JSONField(default=list)

    class Meta:
        verbose_name = _("erasure receipt")
        verbose_name_plural = _("erasure receipts")
        ordering = ["-erased_at"]

    def __str__(self) -> str:
        return str(self.id)
