"""What a person attached to a conversation, its passages, and which of them replies were given."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id
from chat.models.conversations import Conversation
from chat.models.replies import Reply


class DocumentQuerySet(models.QuerySet["Document"]):
    def searchable(self) -> DocumentQuerySet:
        return self.filter(state=Document.State.READY)

    def stuck(self, *, now: datetime) -> DocumentQuerySet:
        """Waiting documents whose worker died or whose wake-up call was lost."""
        return self.filter(state=Document.State.WAITING, enqueued_at__lt=now - Document.PATIENCE)


class Document(models.Model):
    """A file as its passages; the file itself is kept only until it was read. `reason` says why it was refused."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Being read")
        READY = "ready", _("Ready")
        REFUSED = "refused", _("Not read")

    class Kind(models.TextChoices):
        PDF = "pdf", "PDF"
        DOCX = "docx", "DOCX"
        MARKDOWN = "markdown", "Markdown"
        TEXT = "text", _("Text")
        CSV = "csv", "CSV"
        HTML = "html", "HTML"

    PATIENCE = timedelta(minutes=3)
    MAX_ATTEMPTS = 3

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="documents")
    # None until the first message of a new conversation is sent.
    conversation = models.ForeignKey(
        Conversation, null=True, blank=True, on_delete=models.CASCADE, related_name="documents"
    )
    name = models.CharField(max_length=120)
    size = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=Kind.choices, blank=True)
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    reason = models.CharField(max_length=30, blank=True)
    columns = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    enqueued_at = models.DateTimeField(default=timezone.now)
    # None while the passages are found by words alone.
    embedded_at = models.DateTimeField(null=True, blank=True)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        constraints = [
            models.CheckConstraint(
                name="document_refused_has_reason",
                condition=Q(state="refused") & ~Q(reason="") | ~Q(state="refused") & Q(reason=""),
            ),
            models.CheckConstraint(name="document_ready_has_kind", condition=~Q(state="ready") | ~Q(kind="")),
        ]
        indexes = [
            models.Index(fields=["conversation", "created_at"], name="documents_of_conversation"),
            models.Index(fields=["created_at"], name="document_unsent", condition=Q(conversation__isnull=True)),
            models.Index(fields=["enqueued_at"], name="document_waiting", condition=Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return self.name


class DocumentFile(models.Model):
    """The bytes of a document that is still to be read; gone as soon as it was."""

    document = models.OneToOneField(Document, primary_key=True, on_delete=models.CASCADE, related_name="file")
    data = models.BinaryField()

    def __str__(self) -> str:
        return str(self.document_id)


class Passage(models.Model):
    """A stretch of a document. `place` is the page, paragraph, line or row where it begins, `cells` those of a row."""

    id = models.BigAutoField(primary_key=True)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="passages")
    position = models.PositiveIntegerField()
    place = models.PositiveIntegerField()
    heading = models.CharField(max_length=200, blank=True)
    content = models.TextField()
    cells = ArrayField(models.TextField(), default=list, blank=True)
    # A vector of length 1 of the embedding model.
    embedding = ArrayField(models.FloatField(), null=True, blank=True)

    class Meta:
        verbose_name = _("passage")
        verbose_name_plural = _("passages")
        constraints = [models.UniqueConstraint(fields=["document", "position"], name="passage_once")]

    def __str__(self) -> str:
        return self.content[:60]


class Citation(models.Model):
    """A passage that stood in the prompt of a reply as `[number]`. `marks` are the sentences that it supports."""

    id = models.BigAutoField(primary_key=True)
    reply = models.ForeignKey(Reply, on_delete=models.CASCADE, related_name="citations")
    passage = models.ForeignKey(Passage, on_delete=models.CASCADE, related_name="citations")
    number = models.PositiveSmallIntegerField()
    # How it was found: the rank in each search that found it.
    ranks = models.JSONField(default=dict)
    # [[where in the text of the reply a sentence ends, measured similarity], ...]
    marks = models.JSONField(default=list)

    class Meta:
        verbose_name = _("citation")
        verbose_name_plural = _("citations")
        constraints = [
            models.UniqueConstraint(fields=["reply", "number"], name="citation_numbered_once"),
            models.UniqueConstraint(fields=["reply", "passage"], name="citation_of_passage_once"),
        ]

    def __str__(self) -> str:
        return f"[{self.number}]"
