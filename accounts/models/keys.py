"""Keys of the API: only a digest is stored, so that a copy of the database opens nothing."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models.people import User, new_id


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def of(self, user: User) -> ApiKeyQuerySet:
        return self.filter(user=user)

    def usable(self, *, now: datetime) -> ApiKeyQuerySet:
        """Keys that open something at `now`."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None, user__is_active=True)


class ApiKey(models.Model):
    """One key of a person: what it may do, until when, how much it may spend in a month, and what it has spent."""

    class Scope(models.TextChoices):
        CHAT = "chat", _("Chat: completions, conversations and replies")
        RATINGS = "ratings", _("Ratings: give and read ratings")
        USAGE = "usage", _("Usage: read what is used and left")
        RELEASES = "releases", _("Releases: read preference data")
        WEBHOOKS = "webhooks", _("Webhooks: manage where your programs are told")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(pgettext_lazy("of a thing", "name"), max_length=60)
    prefix = models.CharField(max_length=16, help_text=_("The beginning of the key, to recognise it by."))
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope.choices), verbose_name=_("scopes"))
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    successor = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="predecessors")
    # The first key of a chain of replacements: all of them spend from its cap, so that rotating never adds to it.
    original = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="replacements")
    # What running and finished requests took from the cap in the calendar month (UTC) that began on `spending_month`.
    monthly_token_cap = models.PositiveBigIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    spending_month = models.DateField(null=True, blank=True)
    tokens_spent = models.PositiveBigIntegerField(default=0)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        constraints = [
            models.CheckConstraint(
                name="api_key_scopes_known",
                condition=Q(
                    scopes__contained_by=["chat", "ratings", "usage", "releases", "webhooks"], scopes__len__gt=0
                ),
            ),
            models.CheckConstraint(
                name="api_key_expires_after_creation", condition=Q(expires_at=None) | Q(expires_at__gt=F("created_at"))
            ),
            models.CheckConstraint(
                name="api_key_cap_is_positive", condition=Q(monthly_token_cap=None) | Q(monthly_token_cap__gt=0)
            ),
        ]
        indexes = [models.Index(fields=["user", "-created_at"], name="api_keys_of_user")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def scope_labels(self) -> list[str]:
        return [str(self.Scope(scope).label).partition(":")[0].partition("：")[0] for scope in self.scopes]

    def is_usable(self, *, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    @property
    def spender_id(self) -> uuid.UUID:
        """The key whose row counts what this one spends."""
        return self.original_id or self.id

    @property
    def spender(self) -> ApiKey:
        return self.original or self

    def spent_in(self, *, now: datetime) -> int:
        """Tokens taken in the calendar month of `now`."""
        counted = self.spender
        return counted.tokens_spent if counted.spending_month == first_of_month(now) else 0


def first_of_month(now: datetime) -> date:
    """The month that `now` (UTC) counts for."""
    return now.date().replace(day=1)
