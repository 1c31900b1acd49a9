"""What you say: folders, conversations and the message tree."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import new_id

if TYPE_CHECKING:
    from accounts.models import User
    from chat.models.consistency import ConsistencyCheck
    from chat.models.documents import Citation

MAX_MESSAGE_CHARACTERS = 32_000


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def of(self, user: User) -> ConversationQuerySet:
        """The person's own conversations that they have not deleted."""
        return self.filter(user=user, deleted_at=None)

    def listed(self) -> ConversationQuerySet:
        return self.filter(archived_at=None, is_temporary=False).order_by("-updated_at", "-id")


class Folder(models.Model):
    """A drawer that a person keeps conversations in, by a name of their own."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="folders")
    name = models.CharField(pgettext_lazy("of a thing", "name"), max_length=60)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("folder")
        verbose_name_plural = _("folders")
        constraints = [models.UniqueConstraint(F("user"), Lower("name"), name="folder_named_once")]

    def __str__(self) -> str:
        return self.name


class Conversation(models.Model):
    """A tree of messages, and the path through it that its owner looks at."""

    class TitleSource(models.TextChoices):
        MESSAGE = "message", _("First words")
        MODEL = "model", _("Model")
        PERSON = "person", _("Person")

    class Origin(models.TextChoices):
        OWN = "own", _("Begun here")
        FORK = "fork", _("Forked")
        SHARE = "share", _("Gone on with from a shared page")
        IMPORT = "import", _("Imported")
        DOCUMENTS = "docs", _("Begun here, with documents")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations")
    client_id = models.UUIDField(default=uuid.uuid4, editable=False)
    title = models.CharField(_("title"), max_length=120, blank=True)
    title_source = models.CharField(max_length=7, choices=TitleSource.choices, default=TitleSource.MESSAGE)
    # Words of others may be in what was imported, shared or attached: they are not the person's to give away.
    origin = models.CharField(max_length=6, choices=Origin.choices, default=Origin.OWN)
    folder = models.ForeignKey(Folder, null=True, blank=True, on_delete=models.SET_NULL, related_name="conversations")
    current_leaf = models.ForeignKey("Message", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    is_temporary = models.BooleanField(default=False)
    # Settings of this conversation; empty ones are the site's, or the person's for all their conversations.
    model = models.CharField(max_length=120, blank=True)
    temperature = models.FloatField(null=True, blank=True)
    reply_tokens = models.PositiveIntegerField(null=True, blank=True)
    shows_certainty = models.BooleanField(default=False)
    asks_first = models.BooleanField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    pinned_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        constraints = [
            models.UniqueConstraint(fields=["user", "client_id"], name="conversation_sent_once"),
            models.CheckConstraint(
                name="conversation_temperature_in_range",
                condition=Q(temperature__isnull=True) | Q(temperature__gte=0, temperature__lte=2),
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-updated_at", "-id"], name="conversation_list"),
            models.Index(fields=["updated_at"], name="conversation_temporary", condition=Q(is_temporary=True)),
            models.Index(fields=["deleted_at"], name="conversation_deleted", condition=Q(deleted_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.title or str(self.id)

    @property
    def never_trains(self) -> bool:
        """Whether nothing a person says lets training use it: it is to leave no trace, or holds words of others."""
        return self.is_temporary or self.origin in WITH_WORDS_OF_OTHERS

    @cached_property
    def citations_by_reply(self) -> dict[uuid.UUID, list[Citation]]:
        """The passages of documents that each reply was given, by the id of its message, in their order."""
        from chat.models.documents import Citation

        found: dict[uuid.UUID, list[Citation]] = {}
        rows = Citation.objects.filter(reply__message__conversation=self).select_related("passage__document")
        for citation in rows.defer("passage__embedding").order_by("number"):
            found.setdefault(citation.reply_id, []).append(citation)
        return found

    @cached_property
    def checks_by_reply(self) -> dict[uuid.UUID, ConsistencyCheck]:
        """The newest consistency check that was asked of each reply that has one, by the id of its message."""
        from chat.models.consistency import ConsistencyCheck

        asked = ConsistencyCheck.objects.filter(reply__conversation=self, asked_at__isnull=False)
        return {check.reply_id: check for check in asked.defer("alignment").order_by("asked_at")}


# They are not the person's to give away: no reviewer and no data set sees them.
WITH_WORDS_OF_OTHERS = (Conversation.Origin.SHARE, Conversation.Origin.IMPORT, Conversation.Origin.DOCUMENTS)


class TreeManager(models.Manager["Message"]):
    """The messages of trees alone: what a consistency check asks and hears stands in none."""

    def get_queryset(self) -> models.QuerySet[Message]:
        return super().get_queryset().filter(consistency_check=None)


class Message(models.Model):
    """One turn. What a user wrote never changes; an edit is a sibling. A reply's text is set once, when it ends."""

    class Role(models.TextChoices):
        USER = "user", _("You")
        ASSISTANT = "assistant", _("Assistant")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    role = models.CharField(max_length=9, choices=Role.choices)
    content = models.TextField(blank=True)
    client_id = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    # Set on what a consistency check asks below `parent`, and on its answers: they are kept apart from the tree.
    consistency_check = models.ForeignKey(
        "ConsistencyCheck", null=True, blank=True, on_delete=models.CASCADE, related_name="messages", db_index=False
    )

    objects = TreeManager()
    everything: models.Manager[Message] = models.Manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.UniqueConstraint(fields=["conversation", "client_id", "role"], name="message_sent_once"),
            models.CheckConstraint(name="message_is_not_its_own_parent", condition=~Q(parent=F("id"))),
            models.CheckConstraint(name="message_role_known", condition=Q(role__in=["user", "assistant"])),
            models.CheckConstraint(
                name="assistant_message_answers_something", condition=Q(role="user") | Q(parent__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["conversation", "parent", "created_at"], name="message_siblings"),
            # Substrings (Chinese, parts of words) have a trigram index as well, where the server has the extension.
            GinIndex(SearchVector("content", config="english"), name="message_words"),
            models.Index(
                fields=["consistency_check"],
                name="message_consistency",
                condition=Q(consistency_check__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.content[:40]}"
