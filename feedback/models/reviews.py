"""Who reads which rating, and what they decided."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import new_id
from feedback.models.ratings import FeedbackEvent, Rating


class ReviewLease(models.Model):
    """A reviewer reads a rating: until then, nobody else is given this place."""

    rating = models.ForeignKey(Rating, on_delete=models.CASCADE, related_name="leases")
    event = models.ForeignKey(FeedbackEvent, on_delete=models.CASCADE, related_name="+")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="review_leases")
    until = models.DateTimeField()

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
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "reviewer"], name="one_decision_of_a_reader")]

    def __str__(self) -> str:
        return self.verdict
