"""Outgoing webhooks: where a person's programs want to be told what happened, what they were told, and every try."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User, new_id


class WebhookEndpoint(models.Model):
    """An address of a person's own that is told of some kinds of event, signed with a secret the two share."""

    class Event(models.TextChoices):
        REPLY_FINISHED = "reply.finished", _("A reply is finished")
        QUOTA_NEAR = "quota.near", _("Four fifths of the plan’s messages or tokens are used")
        RELEASE_READY = "release.ready", _("A release can be downloaded (for those who may see releases)")
        RATING_REVIEWED = "rating.reviewed", _("A rating of yours was reviewed")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="webhook_endpoints")
    url = models.CharField(_("address"), max_length=500)
    events = ArrayField(models.CharField(max_length=20, choices=Event.choices), verbose_name=_("events"))
    # Encrypted with a key made from SECRET_KEY. The one before signs beside it until `previous_until`.
    secret = models.CharField(max_length=255, editable=False)
    previous_secret = models.CharField(max_length=255, blank=True, editable=False)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    paused_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        constraints = [
            models.CheckConstraint(
                name="webhook_events_known",
                condition=Q(
                    events__contained_by=["reply.finished", "quota.near", "release.ready", "rating.reviewed"],
                    events__len__gt=0,
                ),
            ),
            models.CheckConstraint(
                name="webhook_previous_secret_ends",
                condition=Q(previous_secret="", previous_until=None)  # that there is none  # nosec B106
                | (~Q(previous_secret="") & Q(previous_until__isnull=False)),  # that there is none  # nosec B106
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None

    @property
    def event_labels(self) -> list[str]:
        return [str(self.Event(event).label) for event in self.events]


class WebhookDelivery(models.Model):
    """One event for one endpoint: stored with what happened, sent until it is taken or given up."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Given up")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=20)
    # What it is about: the same thing is told to an endpoint once.
    subject = models.CharField(max_length=80)
    body = models.TextField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    # When to try next; while a worker is at it, when others may believe that it died.
    due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("webhook message")
        verbose_name_plural = _("webhook messages")
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event", "subject"], name="webhook_told_once"),
            models.CheckConstraint(
                name="webhook_waiting_is_due",
                condition=Q(state="waiting", due_at__isnull=False) | (~Q(state="waiting") & Q(due_at=None)),
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="webhook_due", condition=Q(state="waiting")),
            models.Index(fields=["endpoint", "-created_at", "-id"], name="webhook_log"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.message_id}"

    @property
    def message_id(self) -> str:
        """The `webhook-id`, the same for every try: receivers tell repetitions by it."""
        return f"msg_{self.pk.hex}"


class WebhookTry(models.Model):
    """One try to deliver: the status of the answer, or why there was none."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="log")
    tried_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)
    milliseconds = models.PositiveIntegerField()

    class Meta:
        ordering = ["-tried_at", "-id"]
        verbose_name = _("try of a webhook")
        verbose_name_plural = _("tries of webhooks")

    def __str__(self) -> str:
        return str(self.status or self.error)
