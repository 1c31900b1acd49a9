"""What came from Stripe and what we ask of it: two tables that are queues."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id


class StripeEvent(models.Model):
    """One event, stored once by its id. The table is the queue; Celery only says that something is in it."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        IGNORED = "ignored", _("of no concern")
        DEAD = "dead", _("given up")

    MAX_ATTEMPTS = 12

    stripe_id = models.CharField(primary_key=True, max_length=80)
    type = models.CharField(max_length=120)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=80, blank=True)
    api_version = models.CharField(max_length=40, blank=True)
    occurred_at = models.DateTimeField()
    source = models.CharField(max_length=8, choices=[("webhook", "webhook"), ("backfill", "backfill")])
    body = models.BinaryField(
        blank=True, help_text="The bytes as they came, until it is worked off: a hint, the object is fetched afresh."
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    error = models.TextField(blank=True)
    received_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("Stripe event")
        verbose_name_plural = _("Stripe events")
        indexes = [
            models.Index(fields=["next_attempt_at"], name="stripe_events_waiting", condition=Q(state="waiting")),
            models.Index(fields=["object_id"], name="stripe_events_waiting_about", condition=Q(state="waiting")),
            models.Index(fields=["-received_at"], name="stripe_events_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.stripe_id}"

    def replay(self, *, now: datetime) -> None:
        """Put it back in the queue as if it had just come."""
        StripeEvent.objects.filter(pk=self.pk).update(
            state=self.State.WAITING, attempts=0, next_attempt_at=now, error="", finished_at=None
        )


class StripeCommand(models.Model):
    """One thing we ask Stripe to do. Its key makes asking again harmless, so that a crash never does it twice."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        REFUSED = "refused", _("refused by Stripe")
        DEAD = "dead", _("given up")

    MAX_ATTEMPTS = 12

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=200, unique=True, help_text="The idempotency key, the same for the same wish.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    error_code = models.CharField(max_length=80, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("Stripe command")
        verbose_name_plural = _("Stripe commands")
        indexes = [
            models.Index(fields=["next_attempt_at"], name="stripe_commands_waiting", condition=Q(state="waiting")),
        ]
        constraints = [
            models.CheckConstraint(
                name="stripe_command_ended_has_time",
                condition=Q(state="waiting", finished_at__isnull=True)
                | (~Q(state="waiting") & Q(finished_at__isnull=False)),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Turn(models.Model):
    """Who asks Stripe about a subscription or a customer's payment pages now; see `billing.turns`."""

    subject = models.CharField(primary_key=True, max_length=100)
    holder = models.UUIDField()
    newest = models.UUIDField(help_text="Of those who wait, whose wish is the newest; else the holder.")
    lapses_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.subject


class Notice(models.Model):
    """A letter that was sent: one of a kind about one subject."""

    class Kind(models.TextChoices):
        PAYMENT_FAILED = "payment_failed", _("payment failed")
        INVITATION = "invitation", _("invitation")

    subject_id = models.CharField(max_length=80)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    sent_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject_id", "kind"], name="notice_sent_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id}"
