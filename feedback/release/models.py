"""What a release is in the database: what went in, the steps that make its files, and which row came from whom."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Max, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id

# The permission to make releases and to take their files; whoever reviews does not need it.
MAY_RELEASE = "feedback.release"

# Between the times that a failed release is tried again by itself, twice as long each time.
FIRST_PAUSE, LONGEST_PAUSE, LAST_DOUBLING = timedelta(minutes=1), timedelta(hours=1), 6


class ReleaseQuerySet(models.QuerySet["Release"]):
    def data_sets(self) -> ReleaseQuerySet:
        """Releases proper, without the counts that were only asked for."""
        return self.filter(is_dry_run=False)

    def made(self) -> ReleaseQuerySet:
        """Those that were made to their end and have rows to compare, though another may have taken their place."""
        return self.data_sets().filter(state__in=Release.MADE)

    def unfinished(self) -> ReleaseQuerySet:
        return self.filter(state__in=Release.UNFINISHED)


class Release(models.Model):
    """A versioned data set: what went in is frozen when it is made, and its files never change afterwards.

    A dry run goes the same way as far as the counts, and leaves no rows and no files.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        BUILDING = "building", _("Being made")
        SEALED = "sealed", _("Ready")
        COUNTED = "counted", _("Counted")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")
        SUPERSEDED = "superseded", _("Replaced")

    UNFINISHED = (State.QUEUED, State.BUILDING)
    MADE = (State.SEALED, State.SUPERSEDED)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.PositiveIntegerField(unique=True, null=True, blank=True)
    is_dry_run = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    specification = models.JSONField(default=dict)
    specification_sha256 = models.CharField(max_length=64, blank=True)
    membership_sha256 = models.CharField(max_length=64, blank=True)
    # Every event below this transaction number was committed when the release was frozen, and none above is in it.
    horizon = models.BigIntegerField(default=0)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    # The release whose rows these are: one that is made to forget has the rows of the first, less those forgotten.
    lineage = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="successors")
    counts = models.JSONField(default=dict)
    # How far reviewers had agreed when it was frozen: `measures.agreement`.
    agreement = models.JSONField(default=dict)
    rows_done = models.PositiveIntegerField(default=0)
    content_sha256 = models.CharField(max_length=64, blank=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    enqueued_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        verbose_name = _("release")
        verbose_name_plural = _("releases")
        ordering = ["-created_at"]
        permissions = [("release", "Can make and download releases")]
        constraints = [
            models.CheckConstraint(
                name="release_has_a_version_unless_dry",
                condition=Q(is_dry_run=True, version__isnull=True) | Q(is_dry_run=False, version__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return f"v{self.version:04d}" if self.version else "dry run"

    @property
    def folder(self) -> str:
        """Where its files lie. `datasets` caches by the folder's name alone, so the name says what is in it."""
        return f"chatpref-{self.name}-{self.content_sha256[:12]}"

    @property
    def origin(self) -> Release:
        """The release that its rows are kept under."""
        return self.lineage or self

    @property
    def tried_again_at(self) -> datetime | None:
        """When it is tried again by itself, if it failed and words are to leave by it: they lie in files until then."""
        if self.state != self.State.FAILED or not self.lineage_id or not self.finished_at:
            return None
        attempts = self.chunks.filter(done_at=None).aggregate(most=Max("attempts"))["most"] or 0
        rounds = attempts // ReleaseChunk.MAX_FAILURES
        return self.finished_at + min(FIRST_PAUSE * (1 << min(rounds, LAST_DOUBLING)), LONGEST_PAUSE)

    @property
    def is_unfinished(self) -> bool:
        return self.state in self.UNFINISHED


class ReleaseMember(models.Model):
    """A reviewed rating, an answered comparison, an implicit signal or a better answer in a release, frozen as ids."""

    class Kind(models.TextChoices):
        RATING = "rating", _("rating")
        COMPARISON = "comparison", _("comparison")
        SIGNAL = "signal", _("implicit signal")
        ANSWER = "answer", _("better answer")

    id = models.BigAutoField(primary_key=True)
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="members")
    # All of one conversation is in one batch, so that batches can be worked off apart.
    batch = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.RATING)
    # The event of a rating or a comparison, or the signal or better answer itself.
    event_id = models.UUIDField()
    ideal_text = models.TextField(blank=True)
    # What it was made from, without which it may not be used: another reply or a correction; of a better answer the
    # answer to the comparison.
    ideal_from = models.UUIDField(null=True, blank=True)
    # Corrections of the rated reply that its reviewers saw, that say what would be right and were not taken back.
    corrections = ArrayField(models.UUIDField(), default=list)
    has_marks = models.BooleanField(default=False, help_text="Whether words were marked as wrong, and no more said.")
    n_reviews = models.PositiveIntegerField()
    # The share of its readers who approved of it; 1 where nobody had to read it.
    agreement = models.FloatField(default=1.0)
    # How far the rater was believed when the release was frozen: between 0 and 1.
    weight = models.FloatField(default=1.0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "event_id"], name="release_member_once")]
        indexes = [models.Index(fields=["release", "batch"], name="release_members_in_batches")]

    def __str__(self) -> str:
        return str(self.event_id)


class ChunkQuerySet(models.QuerySet["ReleaseChunk"]):
    def claimable(self, *, now: datetime) -> ChunkQuerySet:
        """Steps of releases under way that nobody works on."""
        return self.filter(done_at=None, release__state__in=Release.UNFINISHED).filter(
            Q(lease_until=None) | Q(lease_until__lt=now)
        )


class ReleaseChunk(models.Model):
    """One step of making a release: any worker may take it, and doing it twice gives the same bytes."""

    class Stage(models.TextChoices):
        ROWS = "rows", _("Reading what was rated")
        PAIRS = "pairs", _("Pairing what two people rated")
        CHOICE = "choice", _("Choosing rows")
        FILES = "files", _("Writing files")
        SEAL = "seal", _("Sealing")

    MAX_FAILURES = 5

    id = models.BigAutoField(primary_key=True)
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="chunks")
    stage = models.CharField(max_length=6, choices=Stage.choices)
    number = models.PositiveIntegerField()
    config = models.CharField(max_length=20, blank=True)
    split = models.CharField(max_length=10, blank=True)
    first_ordinal = models.PositiveIntegerField(default=0)
    end_ordinal = models.PositiveIntegerField(default=0)
    # Who works on it. A lease that ran out may be taken by another; `attempts` fences the one that lost it.
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)
    rows = models.PositiveIntegerField(default=0)
    files = models.JSONField(default=list)

    objects = ChunkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["release", "stage", "number"], name="release_chunk_once"),
            models.CheckConstraint(name="release_chunk_range", condition=Q(end_ordinal__gte=F("first_ordinal"))),
        ]
        indexes = [
            models.Index(fields=["release", "stage", "number"], name="release_open_chunks", condition=Q(done_at=None))
        ]

    def __str__(self) -> str:
        return f"{self.stage} {self.number}"


class CandidateRow(models.Model):
    """A row that the rules made, until the release is sealed: what trainers will read, and why it may be left out."""

    id = models.BigAutoField(primary_key=True)
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="candidates")
    batch = models.PositiveIntegerField()
    config = models.CharField(max_length=12)
    row_id = models.CharField(max_length=64)
    duplicate_key = models.CharField(max_length=64)
    prompt_key = models.CharField(max_length=64)
    user_id = models.UUIDField()
    other_user_id = models.UUIDField(null=True)
    source_events = ArrayField(models.UUIDField())
    prompt_roles = ArrayField(models.TextField())
    prompt_contents = ArrayField(models.TextField())
    chosen = models.TextField(blank=True)
    rejected = models.TextField(blank=True)
    confidence = models.FloatField()
    weight = models.FloatField(default=1.0)
    # What else is said of the row, as JSON: `tables.PARTICULARS`. Many rows say the same, and one text is sent and read
    # at a fraction of what a column for each would take.
    particulars = models.TextField()
    # Where texts that are sent as one begin and end. Numbers of four bytes, most significant first: how many turns the
    # prompt has, then how many bytes `chosen`, `rejected` and `particulars` have; and how many each turn has.
    sizes = models.BinaryField()
    prompt_sizes = models.BinaryField()
    dropped = models.CharField(max_length=40, blank=True)
    # Of a tree what is known of each message, as JSON; the texts are in `prompt_contents`, in the same order.
    nodes = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["release", "batch"], name="candidates_of_batch")]

    def __str__(self) -> str:
        return f"{self.config} {self.row_id}"


class RatedPrompt(models.Model):
    """To which prompt somebody rated a reply, until the release is sealed: two that ask the same have the same key."""

    id = models.BigAutoField(primary_key=True)
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="rated_prompts")
    batch = models.PositiveIntegerField()
    key = models.CharField(max_length=64)
    event_id = models.UUIDField()

    class Meta:
        indexes = [
            models.Index(fields=["release", "batch"], name="rated_prompts_of_batch"),
            models.Index(fields=["release", "key"], name="rated_prompts_alike"),
        ]

    def __str__(self) -> str:
        return self.key


class ReleaseRow(models.Model):
    """Where one row of a release came from and where it lies: the way from a person to their bytes."""

    id = models.BigAutoField(primary_key=True)
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="rows")
    config = models.CharField(max_length=12)
    split = models.CharField(max_length=10)
    ordinal = models.PositiveIntegerField(default=0)
    row_id = models.CharField(max_length=64)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    # Of a pair of two people the other one.
    other_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    # Ratings, comparisons, signals and better answers to comparisons; of a reviewer's better answer to a rated reply
    # what it was made from, too: replies and corrections.
    source_events = ArrayField(models.UUIDField())
    # The words, until the release is sealed; after that they are in its files alone.
    candidate_id = models.BigIntegerField(null=True)
    # Asked to be forgotten, and the release that is made without it; the row goes when that one is sealed.
    erasure = models.ForeignKey("Erasure", null=True, on_delete=models.SET_NULL, related_name="rows", db_index=False)
    erased_in = models.ForeignKey(Release, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "config", "row_id"], name="release_row_once")]
        indexes = [
            models.Index(fields=["release", "config", "split", "ordinal"], name="release_rows_in_order"),
            models.Index(fields=["user", "release"], name="release_rows_of_person"),
            models.Index(fields=["other_user"], name="release_rows_of_second", condition=Q(other_user__isnull=False)),
            # Rows are marked for days at most, and these hold the marked ones alone: nothing of all the rows is read.
            models.Index(fields=["erasure"], name="release_rows_asked_for", condition=Q(erasure__isnull=False)),
            models.Index(fields=["erased_in"], name="release_rows_going", condition=Q(erased_in__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.config}/{self.split}/{self.row_id}"


class EvaluationPrompt(models.Model):
    """A prompt that models are tested by; never changed, never taken away."""

    name = models.CharField(max_length=80)
    text = models.TextField()
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"


class Erasure(models.Model):
    """Somebody's words are to leave every data set: what was asked for, and what was done about it."""

    class Reason(models.TextChoices):
        WITHDRAWN = "withdrawn", _("Consent was withdrawn")
        LEFT = "left", _("The account was deleted")
        TAKEN_BACK = "taken_back", _("A rating, a choice or a correction was taken back")
        DELETED = "deleted", _("A chat or a part of it was deleted")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    reason = models.CharField(max_length=10, choices=Reason.choices)
    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    n_rows = models.PositiveIntegerField(default=0)
    # Of each release: its name, the one that took its place, how many rows and files were rewritten or deleted.
    effects = models.JSONField(default=list)
    models_to_retrain = ArrayField(models.CharField(max_length=120), default=list)

    class Meta:
        ordering = ["-asked_at"]

    def __str__(self) -> str:
        return str(self.id)


def lease(now: datetime) -> datetime:
    """Until when a step taken at `now` is its taker's alone."""
    return now + timedelta(seconds=settings.RELEASE_LEASE_SECONDS)
