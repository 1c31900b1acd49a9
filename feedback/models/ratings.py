"""What people said about replies: append-only events, the live rating, and corrections."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Greatest, Random
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id
from chat.models import WITH_WORDS_OF_OTHERS, Message
from feedback import reasons as known_reasons
from feedback.consent import IN_FORCE

if TYPE_CHECKING:
    from accounts.models import User

MAX_COMMENT_CHARACTERS = 4_000
ADJUDICATE = "feedback.adjudicate"


class FeedbackEvent(models.Model):
    """One thing a person said about a reply, or took back. Never changed: the database refuses updates."""

    class Kind(models.TextChoices):
        THUMB = "thumb", _("rated")
        RETRACT = "retract", _("withdrew")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client_event_id = models.UUIDField()
    # The indexes below begin with these two: events are many, and each index is written with every one.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="feedback_events", db_index=False
    )
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="feedback_events", db_index=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    value = models.SmallIntegerField(null=True, blank=True)
    reasons = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    comment = models.TextField(blank=True, max_length=MAX_COMMENT_CHARACTERS)
    locale = models.CharField(max_length=10)
    had_consent = models.BooleanField()
    snapshot = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("feedback event")
        verbose_name_plural = _("feedback events")
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

        Escalated ones, and those given to too many, are left out (`needing_reader`), and what may not be read at all.
        """
        return self.needing_reader(reviewer=reviewer, now=now).may_be_read()

    def may_be_read(self) -> RatingQuerySet:
        """Never from a conversation that was deleted or was to leave no trace, or that holds words of others, who were
        not asked, and only while the person consents.
        """
        return (
            self.filter(message__conversation__deleted_at=None, message__conversation__is_temporary=False)
            .exclude(message__conversation__origin__in=WITH_WORDS_OF_OTHERS)
            .filter(RawSQL(IN_FORCE, [], output_field=models.BooleanField()))  # noqa: S611 - made of constants
        )

    def with_consent(self) -> RatingQuerySet:
        """Each with `is_allowed`: whether the person lets training use it."""
        return self.annotate(is_allowed=RawSQL(IN_FORCE, [], output_field=models.BooleanField()))  # noqa: S611 - constants

    def open_to(self, reviewer: User) -> RatingQuerySet:
        """Undecided ratings that the reader may have a say in: never one's own, never what one has decided. What was
        escalated is for those alone who may adjudicate.
        """
        from feedback.models.reviews import Escalation, ReviewDecision

        mine_decided = ReviewDecision.objects.filter(event=OuterRef("event"), reviewer=reviewer)
        theirs = self.filter(decided_event=None).exclude(user=reviewer).exclude(Exists(mine_decided))
        if reviewer.has_perm(ADJUDICATE):
            return theirs
        return theirs.exclude(Exists(Escalation.objects.filter(event=OuterRef("event"))))

    def needing_reader(self, *, reviewer: User, now: datetime) -> RatingQuerySet:
        """Of those that are open to this reader the ones with a place left, as `with_readers` says more of: never more
        readers than are needed.
        """
        from feedback.models.reviews import ReviewLease

        leased = ReviewLease.objects.filter(event=OuterRef("event"), until__gte=now).exclude(reviewer=reviewer)
        return (
            self.open_to(reviewer)
            .with_readers()
            .annotate(n_leases=count_of(leased))
            # Undecided with all readers heard means that they are evenly divided: one more is needed.
            .filter(n_leases__lt=Greatest(F("n_needed") - F("n_decisions"), 1))
        )

    def with_readers(self) -> RatingQuerySet:
        """Each with `n_decisions`, how many have decided, and `n_needed`, how many must."""
        from feedback.models.readers import readers_needed
        from feedback.models.reviews import ReviewDecision

        decided = ReviewDecision.objects.filter(event=OuterRef("event"))
        return self.annotate(n_decisions=count_of(decided), n_needed=readers_needed())


def count_of(rows: models.QuerySet[Any]) -> Coalesce:
    """How many of these rows each event has; `rows` are those of the event that is asked about."""
    counted = rows.order_by().values("event").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=models.IntegerField()), 0)


class Rating(models.Model):
    """What one person thinks of one reply now: the newest event, kept for pages and for review."""

    class Verdict(models.TextChoices):
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="ratings", db_index=False)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="ratings")
    event = models.OneToOneField(FeedbackEvent, on_delete=models.CASCADE, related_name="rating")
    value = models.SmallIntegerField()
    reasons = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    comment = models.TextField(blank=True)
    rated_at = models.DateTimeField()
    queued_at = models.DateTimeField()
    # Review: the decision about this very event.
    decided_event = models.ForeignKey(
        FeedbackEvent, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    verdict = models.CharField(max_length=8, choices=Verdict.choices, blank=True)
    ideal_text = models.TextField(blank=True)
    ideal_from = models.UUIDField(null=True, blank=True)
    # Between 0 and 1, drawn by the database with each opinion: nobody can tell beforehand how many will read it.
    lot = models.FloatField(db_default=Random(), editable=False)

    objects = RatingQuerySet.as_manager()

    class Meta:
        verbose_name = _("rating")
        verbose_name_plural = _("ratings")
        constraints = [
            models.UniqueConstraint(fields=["user", "message"], name="one_live_rating"),
            models.CheckConstraint(name="rating_is_up_or_down", condition=Q(value__in=[-1, 1])),
            models.CheckConstraint(
                name="rating_verdict_with_decision",
                condition=Q(decided_event__isnull=True, verdict="") | ~Q(verdict=""),
            ),
        ]
        indexes = [
            models.Index(fields=["queued_at"], name="review_queue", condition=Q(decided_event=None)),
            models.Index(fields=["decided_event"], name="ratings_decided", condition=Q(decided_event__isnull=False)),
        ]
        permissions = [
            ("review", "Can review ratings"),
            ("adjudicate", "Can decide what was escalated and make gold items"),
        ]

    def __str__(self) -> str:
        return f"{self.value:+d}"

    @property
    def reason_labels(self) -> list[str]:
        """The reasons in the reader's language."""
        labels = known_reasons.known(self.value)
        return [str(labels.get(key, key)) for key in self.reasons]


class Correction(models.Model):
    """Words of a reply that are wrong, and what would be right where the person said so.

    Nothing but its withdrawal is ever changed, and it goes only with the reply: the database sees to it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client_event_id = models.UUIDField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="corrections")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="corrections")
    quote = models.TextField(blank=True, help_text="The wrong words as they were shown; empty: the whole reply.")
    # Where the quoted words stand in the source of the reply, in characters; null: which place is meant is not known.
    place_start = models.PositiveIntegerField(null=True, blank=True)
    place_end = models.PositiveIntegerField(null=True, blank=True)
    right_text = models.TextField(blank=True, help_text="Empty: the words are wrong, and no more is said.")
    source = models.CharField(max_length=500, blank=True)
    had_consent = models.BooleanField()
    snapshot = models.JSONField()
    locale = models.CharField(max_length=10)
    created_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("correction")
        verbose_name_plural = _("corrections")
        constraints = [
            models.UniqueConstraint(fields=["user", "client_event_id"], name="correction_sent_once"),
            models.CheckConstraint(name="correction_says_something", condition=~Q(quote="", right_text="")),
            models.CheckConstraint(
                name="correction_has_a_whole_place",
                condition=Q(place_start=None, place_end=None)
                | (
                    ~Q(quote="") & Q(place_start__isnull=False, place_end__isnull=False, place_start__lt=F("place_end"))
                ),
            ),
        ]
        indexes = [models.Index(fields=["message", "created_at"], name="corrections_of_message")]

    def __str__(self) -> str:
        return (self.right_text or self.quote)[:40]

    @property
    def is_mark(self) -> bool:
        """Whether it says that words are wrong and nothing more. Then nothing may be put in their place."""
        return not self.right_text

    @property
    def is_placed(self) -> bool:
        """Whether it is known which words of the reply are meant, or it is about all of them."""
        return not self.quote or self.place_start is not None

    @property
    def corrected_reply(self) -> str:
        """The whole reply with the correction in it; empty of a mark, and where the place is not known."""
        if self.is_mark or not self.is_placed:
            return ""
        if not self.quote:
            return self.right_text
        content = self.message.content
        return content[: self.place_start] + self.right_text + content[self.place_end :]
