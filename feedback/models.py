"""What you think of it: ratings, their review, and the releases made of both."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id
from chat.models import Conversation, Message
from feedback import reasons as known_reasons
from feedback.consent import IN_FORCE
from feedback.release.models import (
    CandidateRow,
    Release,
    ReleaseChunk,
    ReleaseDownload,
    ReleaseMember,
    ReleaseRow,
)

if TYPE_CHECKING:
    from accounts.models import User

__all__ = [
    "CandidateRow",
    "Comparison",
    "FeedbackEvent",
    "Rating",
    "Release",
    "ReleaseChunk",
    "ReleaseDownload",
    "ReleaseMember",
    "ReleaseRow",
    "ReviewDecision",
]

MAX_COMMENT_CHARACTERS = 4_000
WITH_WORDS_OF_OTHERS = (Conversation.Origin.SHARE, Conversation.Origin.IMPORT)


class FeedbackEvent(models.Model):
    """One thing a person said about a reply, or took back. Never changed: the database refuses updates."""

    class Kind(models.TextChoices):
        THUMB = "thumb", _("rated")
        RETRACT = "retract", _("withdrew")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client_event_id = models.UUIDField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="feedback_events")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="feedback_events")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    value = models.SmallIntegerField(null=True, blank=True)
    reasons = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    comment = models.TextField(blank=True, max_length=MAX_COMMENT_CHARACTERS)
    locale = models.CharField(max_length=10)
    had_consent = models.BooleanField()
    snapshot = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "client_event_id"], name="feedback_event_sent_once"),
            models.CheckConstraint(
                name="feedback_event_has_its_value",
                condition=Q(kind="thumb", value__in=[-1, 1]) | Q(kind="retract", value__isnull=True),
            ),
        ]
        indexes = [models.Index(fields=["message", "-created_at"], name="feedback_of_message")]

    def __str__(self) -> str:
        return f"{self.kind} {self.value or ''}".strip()


class RatingQuerySet(models.QuerySet["Rating"]):
    def awaiting_review(self, *, reviewer: User, now: datetime) -> RatingQuerySet:
        """Ratings that need another reader and may be shown to this one.

        Never from a conversation that was deleted or was to leave no trace, or that holds words of others, who were
        not asked, and only while the person consents.
        """
        return (
            self.needing_reader(reviewer=reviewer, now=now)
            .filter(message__conversation__deleted_at=None, message__conversation__is_temporary=False)
            .exclude(message__conversation__origin__in=WITH_WORDS_OF_OTHERS)
            .filter(RawSQL(IN_FORCE, [], output_field=models.BooleanField()))  # noqa: S611 - made of constants
        )

    def needing_reader(self, *, reviewer: User, now: datetime) -> RatingQuerySet:
        """Ratings with a place for this reader; `n_decisions` counts those who decided already.

        Never one's own, never what one has decided, and never more readers than are needed.
        """
        decided = ReviewDecision.objects.filter(event=OuterRef("event"))
        leased = ReviewLease.objects.filter(event=OuterRef("event"), until__gte=now).exclude(reviewer=reviewer)
        return (
            self.filter(decided_event=None)
            .exclude(user=reviewer)
            .exclude(Exists(decided.filter(reviewer=reviewer)))
            .annotate(n_decisions=_count_of(decided), n_leases=_count_of(leased))
            # Undecided with all readers heard means that they are evenly divided: one more is needed.
            .filter(n_leases__lt=Greatest(settings.REVIEW_READERS - F("n_decisions"), 1))
        )


def _count_of(rows: models.QuerySet[Any]) -> Coalesce:
    counted = rows.order_by().values("event").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=models.IntegerField()), 0)


class Rating(models.Model):
    """What one person thinks of one reply now: the newest event, kept for pages and for review."""

    class Verdict(models.TextChoices):
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="ratings")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="ratings")
    event = models.OneToOneField(FeedbackEvent, on_delete=models.CASCADE, related_name="rating")
    value = models.SmallIntegerField()
    reasons = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    comment = models.TextField(blank=True)
    rated_at = models.DateTimeField()
    queued_at = models.DateTimeField()
    # Review: the decision about this very event.
    decided_event = models.ForeignKey(FeedbackEvent, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    verdict = models.CharField(max_length=8, choices=Verdict.choices, blank=True)
    ideal_text = models.TextField(blank=True)

    objects = RatingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "message"], name="one_live_rating"),
            models.CheckConstraint(name="rating_is_up_or_down", condition=Q(value__in=[-1, 1])),
            models.CheckConstraint(
                name="rating_verdict_with_decision",
                condition=Q(decided_event__isnull=True, verdict="") | ~Q(verdict=""),
            ),
        ]
        indexes = [models.Index(fields=["queued_at"], name="review_queue", condition=Q(decided_event=None))]
        permissions = [("review", "Can review ratings and make releases")]

    def __str__(self) -> str:
        return f"{self.value:+d} {self.message_id}"

    @property
    def reason_labels(self) -> list[str]:
        """The reasons in the reader's language."""
        labels = known_reasons.known(self.value)
        return [str(labels.get(key, key)) for key in self.reasons]


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


class Correction(models.Model):
    """Words of a reply that are wrong, and what would be right. Nothing but its withdrawal is ever changed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client_event_id = models.UUIDField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="corrections")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="corrections")
    quote = models.TextField(blank=True, help_text="The wrong words as they were shown; empty: the whole reply.")
    right_text = models.TextField()
    source = models.CharField(max_length=500, blank=True)
    had_consent = models.BooleanField()
    snapshot = models.JSONField()
    locale = models.CharField(max_length=10)
    created_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "client_event_id"], name="correction_sent_once"),
            models.CheckConstraint(name="correction_says_what_is_right", condition=~Q(right_text="")),
        ]
        indexes = [models.Index(fields=["message", "created_at"], name="corrections_of_message")]

    def __str__(self) -> str:
        return self.right_text[:40]

    @property
    def corrected_reply(self) -> str:
        """The whole reply with the correction in it; empty when the quoted words do not stand in it exactly once."""
        if not self.quote:
            return self.right_text
        content = self.message.content
        return content.replace(self.quote, self.right_text) if content.count(self.quote) == 1 else ""


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
