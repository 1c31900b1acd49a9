"""Who you are: the person, and what they agreed to."""

import uuid
from functools import cached_property

import uuid6
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562): sorts by creation, safe to show, and the key of every public row."""
    return uuid.UUID(int=uuid6.uuid7().int)


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        """A person with the address lower-cased; raises `ValidationError` when there is none."""
        if not email:
            raise ValidationError(_("An e-mail address is needed."))
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person, keyed by e-mail address whatever its letter case."""

    class Theme(models.TextChoices):
        SYSTEM = "system", _("As the device")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    class Letter(models.TextChoices):
        """What we write to people about unless they refuse it; of money and security they always hear."""

        LIMIT_NEAR = "limit_near", _("Four fifths of the month's tokens are used")
        WEBHOOK_PAUSED = "webhook_paused", _("A webhook of mine takes no messages and is paused")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(_("e-mail address"), max_length=254, unique=True)
    name = models.CharField(_("name"), max_length=80, blank=True)
    language = models.CharField(_("language"), max_length=10, blank=True)
    theme = models.CharField(_("theme"), max_length=6, choices=Theme.choices, default=Theme.SYSTEM)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    # What is refused, not what is wanted: a kind of letter that is new reaches everybody until they refuse it.
    refused_letters = ArrayField(models.CharField(max_length=20, choices=Letter.choices), default=list, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("staff"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=timezone.now)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique_whatever_case")]

    def __str__(self) -> str:
        return self.email

    def has_perm(self, perm: str, obj: models.Model | None = None) -> bool:
        """The rights of staff sleep until they have a second step, where the site asks it of them."""
        return super().has_perm(perm, obj) and not self.lacks_second_step

    def has_module_perms(self, app_label: str) -> bool:
        return super().has_module_perms(app_label) and not self.lacks_second_step

    @cached_property
    def lacks_second_step(self) -> bool:
        """Whether the site asks staff for a second step and this person has neither app nor passkey."""
        from allauth.mfa.models import Authenticator  # its module asks for this one

        if not settings.STAFF_SECOND_STEP:
            return False
        kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
        return not Authenticator.objects.filter(user=self, type__in=kinds).exists()

    def get_short_name(self) -> str:
        return self.name or self.email.partition("@")[0]


class ConsentEvent(models.Model):
    """One change of what a person lets their conversations be used for; the newest of a scope is in force.

    Rows are never updated or deleted while the person has an account: the database refuses it.
    """

    class Scope(models.TextChoices):
        ACCOUNT = "account", _("everything")
        CONVERSATION = "conversation", _("one conversation")
        RATING = "rating", _("one rating")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="consent_events")
    scope = models.CharField(max_length=12, choices=Scope.choices)
    subject_id = models.UUIDField(null=True, blank=True)
    is_granted = models.BooleanField()
    policy_version = models.CharField(max_length=20)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("consent event")
        verbose_name_plural = _("consent events")
        constraints = [
            models.CheckConstraint(
                name="consent_subject_matches_scope",
                condition=models.Q(scope="account", subject_id__isnull=True)
                | (~models.Q(scope="account") & models.Q(subject_id__isnull=False)),
            )
        ]
        indexes = [models.Index(fields=["user", "scope", "subject_id", "-created_at"], name="consent_in_force")]

    def __str__(self) -> str:
        return f"{self.scope} {'granted' if self.is_granted else 'withdrawn'}"
