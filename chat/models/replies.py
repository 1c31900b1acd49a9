"""The work of filling an assistant message."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.conversations import Message


class ReplyQuerySet(models.QuerySet["Reply"]):
    def unfinished(self) -> ReplyQuerySet:
        return self.filter(state__in=Reply.UNFINISHED)

    def abandoned(self, *, now: datetime) -> ReplyQuerySet:
        """Replies nobody is working on: a worker died with them, or their wake-up call was lost."""
        return self.filter(
            Q(state=Reply.State.RUNNING, lease_until__lt=now)
            | Q(state=Reply.State.QUEUED, enqueued_at__lt=now - timedelta(seconds=settings.REPLY_LEASE_SECONDS))
        )


class Reply(models.Model):
    """The work of filling one assistant message, and the receipt of how it was done."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Writing")
        COMPLETE = "complete", _("Complete")
        STOPPED = "stopped", _("Stopped")
        FAILED = "failed", _("Failed")

    UNFINISHED = (State.QUEUED, State.RUNNING)
    MAX_ATTEMPTS = 10
    IMPORTED = "imported"

    message = models.OneToOneField(Message, primary_key=True, on_delete=models.CASCADE, related_name="reply")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="replies")
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    queue = models.CharField(max_length=20)
    priority = models.PositiveSmallIntegerField()
    queued_at = models.DateTimeField(default=timezone.now)
    enqueued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    # Who works on it. A lease that ran out may be taken by another worker; `attempts` fences the one that lost it.
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Text as far as it was surely shown, should the stream be lost with its worker.
    checkpoint = models.TextField(blank=True)
    # A stopped or cut-off reply that this one goes on from, and how much of the text was paid for there.
    continues = models.ForeignKey(Message, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    continued_tokens = models.PositiveIntegerField(default=0)
    # The receipt
    keeps_certainty = models.BooleanField(default=False)
    # How likely the model must find it that the request is unclear for the reply to be a question; none: it answers.
    ask_threshold = models.FloatField(null=True, blank=True)
    model = models.CharField(max_length=120)
    model_version = models.CharField(max_length=120, blank=True)
    template_sha256 = models.CharField(max_length=64, blank=True)
    system_prompt = models.TextField(blank=True)
    sampling = models.JSONField(default=dict)
    seed = models.BigIntegerField()
    max_tokens = models.PositiveIntegerField()
    # How many of the newest turns the model was given; the rest did not fit.
    prompt_turns = models.PositiveIntegerField(null=True, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True, blank=True)
    cached_tokens = models.PositiveIntegerField(null=True, blank=True)
    completion_tokens = models.PositiveIntegerField(null=True, blank=True)
    finish_reason = models.CharField(max_length=20, blank=True)
    error = models.CharField(max_length=40, blank=True)
    timings = models.JSONField(default=dict)

    objects = ReplyQuerySet.as_manager()

    class Meta:
        verbose_name = _("reply")
        verbose_name_plural = _("replies")
        constraints = [
            models.CheckConstraint(
                name="reply_running_has_lease", condition=~Q(state="running") | Q(lease_until__isnull=False)
            ),
            models.CheckConstraint(
                name="reply_finished_has_time",
                condition=Q(state__in=["queued", "running"], finished_at__isnull=True)
                | Q(state__in=["complete", "stopped", "failed"], finished_at__isnull=False),
            ),
            models.CheckConstraint(
                name="reply_ask_threshold_is_a_probability",
                condition=Q(ask_threshold__isnull=True) | Q(ask_threshold__gte=0, ask_threshold__lte=1),
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "lease_until"], name="reply_leases", condition=Q(state__in=["queued", "running"])
            )
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.message_id}"

    @property
    def is_finished(self) -> bool:
        return self.state not in self.UNFINISHED

    @property
    def is_imported(self) -> bool:
        """Whether it was written elsewhere, by a model that cannot be asked anything."""
        return self.queue == self.IMPORTED

    @property
    def can_be_continued(self) -> bool:
        """Whether the reply broke off: it was stopped, or reached its longest length."""
        return self.state == self.State.STOPPED or self.finish_reason == "length"

    @property
    def ending(self) -> dict[str, Any]:
        """What a browser learns when the reply ends."""
        return {"state": self.state, "finish_reason": self.finish_reason, "error": self.error}

    @property
    def receipt(self) -> dict[str, Any]:
        """How the reply was made, for the person and for data sets."""
        return {
            "model": self.model,
            "model_version": self.model_version,
            "sampling": self.sampling,
            "seed": self.seed,
            "prompt_turns": self.prompt_turns,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
            "finish_reason": self.finish_reason,
            "timings": self.timings,
        }


class Certainty(models.Model):
    """Where in a finished reply the model was unsure: `chat.certainty.Span`s, in the order of the text."""

    reply = models.OneToOneField(Reply, primary_key=True, on_delete=models.CASCADE, related_name="certainty")
    spans = models.JSONField()

    class Meta:
        verbose_name = _("certainty")
        verbose_name_plural = _("certainties")

    def __str__(self) -> str:
        return f"{len(self.spans)} unsure words of {self.reply_id}"


class Clarification(models.Model):
    """The question that a reply is, and the answers that can be tapped. The message's text holds all of it as well."""

    FEWEST, MOST = 2, 4
    LONGEST_QUESTION, LONGEST_OPTION = 300, 80

    reply = models.OneToOneField(Reply, primary_key=True, on_delete=models.CASCADE, related_name="clarification")
    question = models.CharField(max_length=LONGEST_QUESTION)
    options = ArrayField(models.CharField(max_length=LONGEST_OPTION), size=MOST)
    # How likely the model found it that the request was unclear.
    probability = models.FloatField()

    class Meta:
        verbose_name = _("clarifying question")
        verbose_name_plural = _("clarifying questions")
        constraints = [
            models.CheckConstraint(
                name="clarification_offers_a_choice", condition=Q(options__len__gte=2, options__len__lte=4)
            )
        ]

    def __str__(self) -> str:
        return self.question
