"""What people saw of replies, and for how long."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id
from chat.models import Message
from feedback.models.comparisons import Comparison


class Exposure(models.Model):
    """A reply was in view of its person for a while. Kept only with consent, never changed.

    A browser tells of it whenever its person leaves the page or goes on, each time what came to it since the last time:
    `visible_ms` of all exposures together are how long it was in view.
    """

    class Slot(models.TextChoices):
        LEFT = "left", _("The left one")
        RIGHT = "right", _("The right one")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client_event_id = models.UUIDField()
    # The constraint below begins with it.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="exposures", db_index=False
    )
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="exposures")
    # Where it stood beside another one, and on which side.
    comparison = models.ForeignKey(
        Comparison, null=True, blank=True, on_delete=models.CASCADE, related_name="exposures"
    )
    slot = models.CharField(max_length=5, choices=Slot.choices, blank=True)
    visible_ms = models.PositiveIntegerField()
    is_whole = models.BooleanField(
        help_text="The page had the finished reply, and the end of its text had been in view by then."
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("exposure")
        verbose_name_plural = _("exposures")
        constraints = [
            models.UniqueConstraint(fields=["user", "client_event_id"], name="exposure_told_once"),
            models.CheckConstraint(
                name="exposure_has_its_slot",
                condition=Q(comparison__isnull=True, slot="") | Q(comparison__isnull=False, slot__in=["left", "right"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.visible_ms} ms"
