"""What people did with a reply, without saying anything about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id
from chat.models import WITH_WORDS_OF_OTHERS, Message
from feedback.consent import in_force

if TYPE_CHECKING:
    from collections.abc import Iterable


class ImplicitSignalQuerySet(models.QuerySet["ImplicitSignal"]):
    def usable(self, kinds: Iterable[str] | None = None) -> Self:
        """Those that may be used now: consent in force, the conversation kept, its words the person's own."""
        found = self.filter(
            RawSQL(in_force("feedback_implicitsignal"), [], output_field=models.BooleanField()),  # noqa: S611 - constants
            message__conversation__deleted_at=None,
            message__conversation__is_temporary=False,
        ).exclude(message__conversation__origin__in=WITH_WORDS_OF_OTHERS)
        return found if kinds is None else found.filter(kind__in=list(kinds))


class ImplicitSignal(models.Model):
    """One thing a person did with a reply. Kept only with consent, never changed, and never a rating."""

    class Kind(models.TextChoices):
        REGENERATED = "regenerated", _("asked for another reply")
        COPIED = "copied", _("copied it")
        STOPPED = "stopped", _("stopped it")
        EDITED = "edited", _("asked in other words")
        CONTINUED = "continued", _("went on from it")
        SHARED = "shared", _("shared it")
        # What became of a clarifying question.
        OPTION = "option", _("chose an answer it offered")
        OWN_WORDS = "own_words", _("answered it in own words")
        JUST_ANSWER = "just_answer", _("had it just answer")
        IGNORED = "ignored", _("left it unanswered")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="implicit_signals")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="implicit_signals")
    kind = models.CharField(max_length=11, choices=Kind.choices)
    cause = models.UUIDField(
        help_text="What it was done with: the new reply, question or link, or the event id that the browser made."
    )
    # By the server's clock; nothing when the reply was still being written.
    since_end_ms = models.PositiveBigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ImplicitSignalQuerySet.as_manager()

    class Meta:
        verbose_name = _("implicit signal")
        verbose_name_plural = _("implicit signals")
        constraints = [
            models.UniqueConstraint(fields=["user", "kind", "cause"], name="implicit_signal_kept_once"),
            models.CheckConstraint(
                name="implicit_signal_known",
                condition=Q(
                    kind__in=[
                        "regenerated",
                        "copied",
                        "stopped",
                        "edited",
                        "continued",
                        "shared",
                        "option",
                        "own_words",
                        "just_answer",
                        "ignored",
                    ]
                ),
            ),
        ]
        indexes = [models.Index(fields=["message", "kind"], name="implicit_signals_of_message")]

    def __str__(self) -> str:
        return self.kind
