"""What was used: buckets that cannot be oversold, the reservations in them, and every change of what one may use."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey


class UsageBucket(models.Model):
    """How much of one limit is used and reserved in the window that is open. The limit itself is the plan's."""

    class Kind(models.TextChoices):
        CONCURRENCY = "concurrency", _("replies at once")
        MESSAGES = "messages", _("messages")
        TOKENS = "tokens", _("tokens")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="usage_buckets")
    kind = models.CharField(max_length=11, choices=Kind.choices)
    window_number = models.BigIntegerField(default=1)
    used = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    opened_at = models.DateTimeField()
    resets_at = models.DateTimeField()
    # The window of which the person was told that it is nearly used up.
    told_window = models.BigIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = _("usage")
        verbose_name_plural = _("usage")
        constraints = [
            models.UniqueConstraint(fields=["user", "kind"], name="usage_bucket_of_a_kind"),
            models.CheckConstraint(name="usage_is_never_negative", condition=Q(used__gte=0, reserved__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.used}+{self.reserved}"


class Reservation(models.Model):
    """What one request may use, and after it ended what it did use: the ledger that the usage page adds up."""

    class State(models.TextChoices):
        HELD = "held", _("running")
        SETTLED = "settled", _("counted")
        RELEASED = "released", _("free of charge")
        EXPIRED = "expired", _("abandoned")

    request_id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="reservations")
    # Whose cap the tokens were taken from as well: of the first key in a chain of replacements. Its index is below.
    spender = models.ForeignKey(
        ApiKey, null=True, blank=True, on_delete=models.CASCADE, related_name="reservations", db_index=False
    )
    plan_key = models.CharField(max_length=20)
    state = models.CharField(max_length=8, choices=State.choices, default=State.HELD)
    reserved_tokens = models.PositiveBigIntegerField()
    max_output_tokens = models.PositiveIntegerField()
    messages_window = models.BigIntegerField(default=0)
    tokens_window = models.BigIntegerField(default=0)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    lease_until = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("reservation")
        verbose_name_plural = _("reservations")
        constraints = [
            models.CheckConstraint(
                name="reservation_closed_has_time",
                condition=Q(state="held", closed_at__isnull=True) | (~Q(state="held") & Q(closed_at__isnull=False)),
            )
        ]
        indexes = [
            models.Index(fields=["lease_until"], name="reservations_held", condition=Q(state="held")),
            models.Index(fields=["user", "created_at"], name="reservations_of_user"),
            models.Index(fields=["spender"], name="reservations_of_key", condition=Q(spender__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.request_id}"


class EntitlementChange(models.Model):
    """The audit log: from which plan to which, when, and what caused it. Rows are only ever added."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="entitlement_changes")
    from_plan = models.CharField(max_length=20)
    to_plan = models.CharField(max_length=20)
    cause = models.CharField(max_length=200)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("entitlement change")
        verbose_name_plural = _("entitlement changes")
        indexes = [models.Index(fields=["user", "-id"], name="entitlement_changes_newest")]
        constraints = [
            models.CheckConstraint(name="entitlement_change_changes", condition=~Q(from_plan=models.F("to_plan")))
        ]

    def __str__(self) -> str:
        return f"{self.from_plan} → {self.to_plan}"
