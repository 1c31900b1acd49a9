"""Who reads which rating, what they decided, and what is known to be right."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id
from feedback.models.ratings import FeedbackEvent, Rating

MAX_NOTE_CHARACTERS = 1_000


class ReviewLease(models.Model):
    """A reviewer reads a rating: until then, nobody else is given this place.

    It outlives a rating that is withdrawn, so that its reader is told so; to everybody else there never was one.
    """

    rating = models.ForeignKey(Rating, on_delete=models.DO_NOTHING, db_constraint=False, related_name="leases")
    event = models.ForeignKey(FeedbackEvent, on_delete=models.CASCADE, related_name="+")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="review_leases")
    until = models.DateTimeField()
    taken_at = models.DateTimeField(default=timezone.now)
    drawn_by = models.CharField(max_length=30, blank=True)
    skipped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rating", "reviewer"], name="one_lease_of_a_reader")]
        indexes = [models.Index(fields=["event", "until"], name="leases_of_event")]

    def __str__(self) -> str:
        return f"until {self.until:%H:%M}"


class ReviewDecision(models.Model):
    """One reviewer's decision about what a person said. It outlives the live rating; the database refuses changes."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    event = models.ForeignKey(FeedbackEvent, on_delete=models.CASCADE, related_name="decisions")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="review_decisions"
    )
    verdict = models.CharField(max_length=8, choices=Rating.Verdict.choices)
    ideal_text = models.TextField(blank=True)
    # No foreign key: a decision is never changed, also when what it was made from is erased.
    ideal_from = models.UUIDField(
        null=True, blank=True, help_text="The other reply, or the correction, that the better answer was made from."
    )
    grades = models.JSONField(default=dict, blank=True, help_text="Aspect (see feedback.grading) to 1..5.")
    tags = ArrayField(models.CharField(max_length=30), default=list, blank=True)
    drawn_by = models.CharField(max_length=30, blank=True, help_text="The order that gave it to the reader.")
    took_ms = models.PositiveBigIntegerField(null=True, blank=True, help_text="From being given it to deciding.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("review decision")
        verbose_name_plural = _("review decisions")
        constraints = [models.UniqueConstraint(fields=["event", "reviewer"], name="one_decision_of_a_reader")]

    def __str__(self) -> str:
        return self.verdict


class Escalation(models.Model):
    """A reader leaves the decision to somebody with the permission to adjudicate. The database refuses changes."""

    event = models.OneToOneField(FeedbackEvent, on_delete=models.CASCADE, related_name="escalation")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    note = models.CharField(max_length=MAX_NOTE_CHARACTERS, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.note


class GoldItem(models.Model):
    """A rating whose right verdict is known: readers are given it like any other, and measured by it.

    The first verdict stays: the database refuses changes.
    """

    event = models.OneToOneField(FeedbackEvent, on_delete=models.CASCADE, related_name="gold_item")
    verdict = models.CharField(max_length=8, choices=Rating.Verdict.choices)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(name="gold_verdict_known", condition=Q(verdict__in=["approved", "rejected"]))
        ]

    def __str__(self) -> str:
        return self.verdict


class GoldAnswer(models.Model):
    """What a reader said about a gold item. It decides nothing about the rating; the database refuses changes."""

    item = models.ForeignKey(GoldItem, on_delete=models.CASCADE, related_name="answers")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="gold_answers")
    verdict = models.CharField(max_length=8, choices=Rating.Verdict.choices)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "reviewer"], name="gold_item_answered_once")]

    def __str__(self) -> str:
        return self.verdict


class RepeatAnswer(models.Model):
    """What a reader said when they were given the same once more. It decides nothing; the database refuses changes."""

    decision = models.OneToOneField(ReviewDecision, on_delete=models.CASCADE, related_name="repeat")
    verdict = models.CharField(max_length=8, choices=Rating.Verdict.choices)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.verdict
