"""Links by which a person lets others read a part of a conversation."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id
from chat.models.conversations import Conversation, Message


def new_token() -> str:
    """132 random bits: nobody finds a shared page by trying."""
    return secrets.token_urlsafe(17)[:22]


class ShareQuerySet(models.QuerySet["Share"]):
    def readable(self, *, now: datetime) -> ShareQuerySet:
        """Neither taken back nor expired, of conversations that still exist."""
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=now),
            revoked_at=None,
            conversation__deleted_at=None,
            user__is_active=True,
        )


class Share(models.Model):
    """A read-only page of the turns from `first` to `last`; both never change, so what was shared stays as it was."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token = models.CharField(max_length=22, unique=True, default=new_token, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="shares")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="shares")
    first = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+")
    last = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+")
    title = models.CharField(_("title"), max_length=120, blank=True)
    is_anonymous = models.BooleanField(_("without my name"), default=True)
    is_indexed = models.BooleanField(_("search engines may list it"), default=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ShareQuerySet.as_manager()

    class Meta:
        verbose_name = _("share")
        verbose_name_plural = _("shares")
        indexes = [models.Index(fields=["conversation", "-created_at"], name="share_list")]

    def __str__(self) -> str:
        return f"share of {self.conversation_id}"
