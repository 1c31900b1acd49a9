"""What happened to an account, for the person to read."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User, new_id


class ActivityEvent(models.Model):
    """One thing that happened to an account; rows are only added, as the database sees to, and go with the person."""

    class Kind(models.TextChoices):
        SIGNED_IN = "signed_in", _("Signed in")
        SIGN_IN_FAILED = "sign_in_failed", _("Sign-in failed")
        SESSION_ENDED = "session_ended", _("Device signed out")
        PASSWORD_CHANGED = "password_changed", _("Password changed")
        EMAIL_CHANGED = "email_changed", _("E-mail address changed")
        SECOND_STEP_ADDED = "second_step_added", _("Second step or passkey added")
        SECOND_STEP_REMOVED = "second_step_removed", _("Second step or passkey removed")
        RECOVERY_CODES_RENEWED = "codes_renewed", _("Recovery codes made anew")
        CONNECTED = "connected", _("Account of another site connected")
        DISCONNECTED = "disconnected", _("Account of another site disconnected")
        KEY_MADE = "key_made", _("API key made")
        KEY_REPLACED = "key_replaced", _("API key replaced")
        KEY_REVOKED = "key_revoked", _("API key revoked")
        WEBHOOK_MADE = "webhook_made", _("Webhook made")
        WEBHOOK_CHANGED = "webhook_changed", _("Webhook changed")
        WEBHOOK_REMOVED = "webhook_removed", _("Webhook removed")
        DATA_ASKED = "data_asked", _("Copy of the data asked for")
        DATA_FETCHED = "data_fetched", _("Copy of the data downloaded")
        DELETION_ASKED = "deletion_asked", _("Deletion of the account asked for")
        DELETION_CALLED_OFF = "deletion_off", _("Deletion of the account called off")
        STAFF_CHANGED = "staff_changed", _("Changed by a staff member")
        STAFF_LOOKED = "staff_looked", _("A staff member read a conversation")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="activity")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    detail = models.CharField(max_length=300, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("activity")
        verbose_name_plural = _("activity")
        indexes = [models.Index(fields=["user", "-created_at", "-id"], name="activity_newest")]
        permissions = [("read_conversations", "Can read a person's conversation after giving a reason")]

    def __str__(self) -> str:
        return str(self.get_kind_display())
