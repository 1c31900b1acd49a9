"""Teams: one person pays for seats, others sit in them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import new_id
from billing.models.usage import UsageBucket


class Team(models.Model):
    """The people one subscription pays for. Its owner pays and has the first seat."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="owned_team")
    name = models.CharField(pgettext_lazy("of a thing", "name"), max_length=80)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")

    def __str__(self) -> str:
        return self.name


class TeamMembership(models.Model):
    """One seat taken. Who joined first keeps the seat when seats become fewer."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="team_membership")
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        verbose_name = _("team member")
        verbose_name_plural = _("team members")

    def __str__(self) -> str:
        return str(self.user)


class FreedSeat(models.Model):
    """What had been used of one limit on a seat that somebody left, until its window ends: whoever takes the seat goes
    on from there. `seat` says which rows are of one seat; of whom it was they do not say, only who sits there now."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="freed_seats")
    taken_by = models.ForeignKey(
        TeamMembership, null=True, blank=True, on_delete=models.CASCADE, related_name="freed_seat"
    )
    seat = models.UUIDField()
    kind = models.CharField(max_length=11, choices=UsageBucket.Kind.choices)
    used = models.PositiveBigIntegerField()
    resets_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["seat", "kind"], name="freed_seat_of_a_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.used}"


class TeamInvitation(models.Model):
    """A seat offered to an address. Only a hash of the link's token is kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(_("e-mail address"), max_length=254)
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                "team",
                Lower("email"),
                name="team_invites_an_address_once",
                condition=Q(accepted_at__isnull=True, revoked_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return self.email
