"""Which of two replies do you prefer? What was drawn, the answer that stands, and all that was ever answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id
from chat.models import Message, Reply
from feedback import reasons as known_reasons
from feedback.consent import COMPARISON_IN_FORCE
from feedback.models.ratings import MAX_COMMENT_CHARACTERS

if TYPE_CHECKING:
    from accounts.models import User


STRENGTH_OF_A_PREFERENCE = Q(strength__isnull=True) | Q(choice__in=["left", "right"], strength__in=[1, 2, 3])


class ComparisonQuerySet(models.QuerySet["Comparison"]):
    def of(self, user: User) -> ComparisonQuerySet:
        """The person's own, save in conversations that they deleted."""
        return self.filter(user=user, question__conversation__deleted_at=None)

    def for_pages(self) -> ComparisonQuerySet:
        """Each with `was_answered`, whatever became of the answer, with `has_gone_on`, whether anything stands below
        either reply, and `with_consent`.
        """
        below = Message.objects.filter(Q(parent=OuterRef("left")) | Q(parent=OuterRef("right")))
        answers = ComparisonEvent.objects.filter(comparison=OuterRef("pk"), kind=ComparisonEvent.Kind.ANSWER)
        added: dict[str, Any] = {
            "was_answered": Exists(answers),
            "has_gone_on": Exists(below),
        }
        return self.with_consent().select_related("left__reply", "right__reply").annotate(**added)

    def with_consent(self) -> ComparisonQuerySet:
        """Each with `is_allowed`: whether the person lets training use it."""
        # Given as keywords that a checker reads, it would stand in the way of the attribute that pages ask for.
        added: dict[str, Any] = {"is_allowed": RawSQL(COMPARISON_IN_FORCE, [], output_field=models.BooleanField())}  # noqa: S611 - constants
        return self.annotate(**added)

    def waiting(self) -> ComparisonQuerySet:
        """Those that nobody has answered. Whoever took an answer back is not asked again."""
        return self.filter(choice="").exclude(
            Exists(ComparisonEvent.objects.filter(comparison=OuterRef("pk"), kind=ComparisonEvent.Kind.ANSWER))
        )


class Comparison(models.Model):
    """Two replies to one question, shown side by side, and which one the person prefers now.

    The server draws who stands left and who right, and the database refuses to change that. The answer may be changed
    and taken back at any time: `event` is the one that stands, and every one is kept.
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
    # What was said last, unless it was taken back; the fields below say the same.
    event = models.OneToOneField("ComparisonEvent", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    choice = models.CharField(max_length=7, choices=Choice.choices, blank=True)
    strength = models.PositiveSmallIntegerField(choices=Strength.choices, null=True, blank=True)
    reasons = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    comment = models.TextField(blank=True, max_length=MAX_COMMENT_CHARACTERS)
    answered_at = models.DateTimeField(null=True, blank=True)

    # What `for_pages` and `with_consent` add.
    was_answered: bool
    has_gone_on: bool
    is_allowed: bool

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")
        constraints = [
            models.CheckConstraint(
                name="comparison_answer_is_an_event",
                condition=Q(choice="", answered_at__isnull=True, event__isnull=True)
                | (~Q(choice="") & Q(answered_at__isnull=False, event__isnull=False)),
            ),
            models.CheckConstraint(name="comparison_strength_of_a_preference", condition=STRENGTH_OF_A_PREFERENCE),
            models.CheckConstraint(name="comparison_of_two", condition=~Q(left=F("right"))),
        ]

    def __str__(self) -> str:
        return self.choice or "open"

    def stand(self, event: ComparisonEvent) -> None:
        """Have what the event says stand, which is nothing where it took the answer back."""
        is_answer = event.kind == ComparisonEvent.Kind.ANSWER
        self.event, self.answered_at = (event, event.created_at) if is_answer else (None, None)
        self.choice, self.strength, self.reasons, self.comment = (
            event.choice, event.strength, event.reasons, event.comment
        )  # fmt: skip
        self.save(update_fields=["event", "answered_at", "choice", "strength", "reasons", "comment"])

    @property
    def sides(self) -> tuple[Message, Message]:
        return self.left, self.right

    @property
    def second(self) -> Message:
        """The reply that was added to be compared with the person's own, and that nobody pays for: the later one."""
        return max(self.sides, key=lambda side: side.pk)

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

    @property
    def is_asked(self) -> bool:
        """Whether a page asks by itself: nobody has answered it before or gone on below either reply, and neither
        failed. Whoever took an answer back is not asked again.
        """
        has_failed = any(side.reply.state == Reply.State.FAILED for side in self.sides)
        return not (self.was_answered or self.has_gone_on or has_failed)

    @property
    def is_answered(self) -> bool:
        """Whether an answer stands that says something of the two."""
        return self.choice not in ("", self.Choice.SKIPPED)

    @property
    def is_noted(self) -> bool:
        """Whether a page says in a line how it was answered, which leads to answering it anew.

        Of a skipped one only where both replies were written to an end of their own: a second one that was stopped by
        skipping is nothing to choose from.
        """
        were_written = all(side.reply.state == Reply.State.COMPLETE for side in self.sides)
        return self.was_answered and (self.is_answered or were_written)


class ComparisonEvent(models.Model):
    """One answer to a comparison, or that it was taken back. Never changed: the database refuses updates."""

    class Kind(models.TextChoices):
        ANSWER = "answer", _("answered")
        RETRACT = "retract", _("withdrew")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client_event_id = models.UUIDField()
    # The constraint below begins with it.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="comparison_events", db_index=False
    )
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    choice = models.CharField(max_length=7, choices=Comparison.Choice.choices, blank=True)
    strength = models.PositiveSmallIntegerField(choices=Comparison.Strength.choices, null=True, blank=True)
    reasons = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    comment = models.TextField(blank=True, max_length=MAX_COMMENT_CHARACTERS)
    exposure = models.JSONField(default=dict)
    snapshots = models.JSONField(default=dict)
    had_consent = models.BooleanField()
    locale = models.CharField(max_length=10)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("answer to a comparison")
        verbose_name_plural = _("answers to comparisons")
        constraints = [
            models.UniqueConstraint(fields=["user", "client_event_id"], name="comparison_event_sent_once"),
            models.CheckConstraint(
                name="comparison_event_has_its_choice",
                condition=Q(kind="answer") & ~Q(choice="") | Q(kind="retract", choice=""),
            ),
            models.CheckConstraint(name="comparison_event_strength", condition=STRENGTH_OF_A_PREFERENCE),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.choice}".strip()
