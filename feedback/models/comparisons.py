"""Which of two replies do you prefer?"""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id
from chat.models import Message
from feedback import reasons as known_reasons
from feedback.models.ratings import MAX_COMMENT_CHARACTERS


class Comparison(models.Model):
    """Two replies to one question, shown side by side, and which one the person preferred.

    The server draws who stands left and who right. Answered or skipped, it never changes: the database refuses it.
    """

    class Choice(models.TextChoices):
        LEFT = "left", _("The left one")
        RIGHT = "right", _("The right one")
        TIE = "tie", _("About the same")
        NEITHER = "neither", _("Both are bad")
        SKIPPED = "skipped", _("Skip")

    class Strength(models.IntegerChoices):
        SLIGHTLY = 1, _("slightly")
        CLEARLY = 2, _("clearly")
        MUCH = 3, _("much")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="comparisons")
    question = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="comparison")
    left = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+")
    right = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+")
    drawn_at = models.DateTimeField(default=timezone.now)
    choice = models.CharField(max_length=7, choices=Choice.choices, blank=True)
    strength = models.PositiveSmallIntegerField(choices=Strength.choices, null=True, blank=True)
    reasons = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    comment = models.TextField(blank=True, max_length=MAX_COMMENT_CHARACTERS)
    exposure = models.JSONField(default=dict)
    snapshots = models.JSONField(default=dict)
    had_consent = models.BooleanField(default=False)
    locale = models.CharField(max_length=10, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")
        constraints = [
            models.CheckConstraint(
                name="comparison_answer_has_time",
                condition=Q(choice="", answered_at__isnull=True) | (~Q(choice="") & Q(answered_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="comparison_strength_of_a_preference",
                condition=Q(strength__isnull=True) | Q(choice__in=["left", "right"], strength__in=[1, 2, 3]),
            ),
            models.CheckConstraint(name="comparison_of_two", condition=~Q(left=F("right"))),
        ]

    def __str__(self) -> str:
        return self.choice or "open"

    @property
    def sides(self) -> tuple[Message, Message]:
        return self.left, self.right

    @property
    def is_ready(self) -> bool:
        """Both replies are finished, so that they can be compared."""
        return all(side.reply.is_finished for side in self.sides)

    @property
    def reason_choices(self) -> list[tuple[str, str]]:
        """The keys that may be given, with their labels in the reader's language."""
        return [(key, str(label)) for key, label in known_reasons.UP.items()]

    @property
    def preferred(self) -> Message | None:
        return {"left": self.left, "right": self.right}.get(self.choice)
