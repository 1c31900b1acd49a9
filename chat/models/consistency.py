"""Would it say the same if asked differently? Checks of a reply by other wordings of its question."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User, new_id
from chat.models.conversations import Message


class ConsistencyCheckQuerySet(models.QuerySet["ConsistencyCheck"]):
    def of(self, user: User) -> ConsistencyCheckQuerySet:
        """Those of replies in the person's own conversations that they have not deleted."""
        return self.filter(reply__conversation__user=user, reply__conversation__deleted_at=None)

    def unmeasured(self, *, now: datetime) -> ConsistencyCheckQuerySet:
        """Those whose answers have all ended a while ago without a measure: a wake-up was lost, or its worker died."""
        waiting = self.filter(asked_at__lt=now - timedelta(seconds=20), measured_at=None)
        return waiting.exclude(messages__reply__state__in=["queued", "running"])


class ConsistencyCheck(models.Model):
    """One asking again in other words: a draft until it is asked, measured when all its answers have ended.

    Its questions and answers are messages that carry its id and stand in no tree.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    reply = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="consistency_checks")
    client_id = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    # When its wordings were ready to be looked at, were asked, and when the answers had been compared.
    proposed_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    measured_at = models.DateTimeField(null=True, blank=True)
    # The measure: mean over all pairs of answers of what they share; the largest group that agrees, of how many.
    agreement = models.FloatField(null=True, blank=True)
    compared = models.PositiveSmallIntegerField(null=True, blank=True)
    agreeing = models.PositiveSmallIntegerField(null=True, blank=True)
    contradictions = models.PositiveSmallIntegerField(null=True, blank=True)
    used_meaning = models.BooleanField(default=False)
    # Statements lined up: `chat.consistency.alignment.Alignment`, as it is shown.
    alignment = models.JSONField(default=dict, blank=True)

    objects = ConsistencyCheckQuerySet.as_manager()

    class Meta:
        verbose_name = _("consistency check")
        verbose_name_plural = _("consistency checks")
        constraints = [
            models.UniqueConstraint(fields=["reply", "client_id"], name="consistency_asked_once"),
            models.UniqueConstraint(fields=["reply"], condition=Q(asked_at=None), name="consistency_one_draft"),
            models.CheckConstraint(
                name="consistency_in_order",
                condition=Q(measured_at=None) | Q(asked_at__isnull=False, compared__isnull=False),
            ),
            models.CheckConstraint(
                name="consistency_measure_in_range",
                condition=Q(agreement=None, compared=None)
                | Q(agreement=None, compared__lt=2)
                | Q(agreement__gte=0, agreement__lte=1, agreeing__gte=1, agreeing__lte=F("compared"), compared__gte=2),
            ),
        ]
        indexes = [
            models.Index(
                fields=["asked_at"],
                name="consistency_unmeasured",
                condition=Q(measured_at=None, asked_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.agreeing} of {self.compared} agree" if self.agreement is not None else "not measured"

    @property
    def is_draft(self) -> bool:
        return self.asked_at is None

    @property
    def is_measured(self) -> bool:
        return self.measured_at is not None


class Wording(models.Model):
    """The question in other words: proposed while the check is a draft, then asked; who put it so."""

    class Maker(models.TextChoices):
        MODEL = "model", _("by the model")
        RULE = "rule", _("by a rule")
        PERSON = "person", _("by you")

    MOST = 3

    check_of = models.ForeignKey(ConsistencyCheck, on_delete=models.CASCADE, related_name="wordings")
    position = models.PositiveSmallIntegerField()
    text = models.TextField()
    maker = models.CharField(max_length=6, choices=Maker.choices)
    # Which rule, one of `chat.consistency.rewording.RULES`.
    rule = models.CharField(max_length=12, blank=True)
    # The empty answer and later the whole one; None while the check is a draft.
    answer = models.OneToOneField(Message, null=True, blank=True, on_delete=models.CASCADE, related_name="wording")

    class Meta:
        verbose_name = _("wording")
        verbose_name_plural = _("wordings")
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["check_of", "position"], name="wording_has_its_place"),
            models.CheckConstraint(name="wording_in_range", condition=Q(position__gte=1, position__lte=3)),
            models.CheckConstraint(name="wording_says_something", condition=~Q(text="")),
            models.CheckConstraint(
                name="wording_names_its_rule",
                condition=Q(maker="rule") & ~Q(rule="") | Q(maker__in=["model", "person"], rule=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.text[:40]}"
