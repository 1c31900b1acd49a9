"""What would have been better than two replies that somebody found alike, or both bad."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id
from feedback.models.comparisons import Comparison


class BetterAnswer(models.Model):
    """A reviewer's answer to what was compared. The database refuses to change it, and it goes with the comparison.

    It belongs to what the person had said (`choice`): once they say otherwise it is used no more, and
    another may be written.
    """

    CHOICES = (Comparison.Choice.TIE, Comparison.Choice.NEITHER)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="better_answers")
    choice = models.CharField(max_length=7, choices=[(one.value, one.label) for one in CHOICES])
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="better_answers"
    )
    text = models.TextField()
    # One of the two compared, which go together with the comparison.
    made_from = models.UUIDField(null=True, blank=True, help_text="The reply that it was begun from.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("better answer")
        verbose_name_plural = _("better answers")
        constraints = [
            models.UniqueConstraint(fields=["comparison", "choice"], name="one_better_answer_to_what_is_said"),
            models.CheckConstraint(name="better_answer_to_no_preference", condition=Q(choice__in=["tie", "neither"])),
            models.CheckConstraint(name="better_answer_says_something", condition=~Q(text="")),
        ]

    def __str__(self) -> str:
        return self.text[:40]


class WritingLease(models.Model):
    """A reviewer writes an answer: until then, nobody else is given this comparison."""

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="writing_leases")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="writing_leases")
    until = models.DateTimeField()
    # Which of the two stands first is drawn for each reviewer.
    is_swapped = models.BooleanField()
    skipped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["comparison", "reviewer"], name="one_lease_of_a_writer")]

    def __str__(self) -> str:
        return f"until {self.until:%H:%M}"
