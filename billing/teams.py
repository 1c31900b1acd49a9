"""Teams: the owner of a Team subscription invites people; whoever accepts has the plan while there is a seat.

What was used on a seat goes on with it: `billing.seats`.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts import letters
from accounts.models import User
from billing import entitlements, seats
from billing.models import Subscription, Team, TeamInvitation, TeamMembership

INVITATION_LASTS = timedelta(days=7)


class TeamProblem(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """`code` is `no_team`, `no_seat`, `member`, `invited`, `gone`, `other_address` or `owner`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Seats:
    """How many are paid for, sat in, and offered."""

    paid: int
    taken: int
    offered: int

    @property
    def free(self) -> int:
        return max(0, self.paid - self.taken - self.offered)


def team_of(user: User, *, now: datetime) -> Team | None:
    """The team that the person owns (made when their subscription is sold by the seat) or has a seat in."""
    membership = TeamMembership.objects.select_related("team__owner").filter(user=user).first()
    if membership:
        return membership.team
    return _make_team(user) if _team_subscription(user, now) else None


def seats_of(team: Team, *, now: datetime) -> Seats:
    subscription = _team_subscription(team.owner, now)
    return Seats(
        paid=subscription.quantity if subscription else 0,
        taken=team.memberships.count(),
        offered=_open_invitations(team, now).count(),
    )


def open_invitations(team: Team, *, now: datetime) -> list[TeamInvitation]:
    return list(_open_invitations(team, now))


def invite(*, team: Team, email: str, now: datetime) -> TeamInvitation:
    """Offer a free seat to an address and send the link. Raises `TeamProblem`."""
    email = email.strip().lower()
    token = secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            team = Team.objects.select_for_update().get(pk=team.pk)
            team.invitations.filter(accepted_at=None, revoked_at=None, expires_at__lte=now).update(revoked_at=now)
            if seats_of(team, now=now).free == 0:
                raise TeamProblem("no_seat")
            if team.memberships.filter(user__email__iexact=email).exists():
                raise TeamProblem("member")
            invitation = TeamInvitation.objects.create(
                team=team, email=email, token_hash=_hash(token), created_at=now, expires_at=now + INVITATION_LASTS
            )
            transaction.on_commit(lambda: _send_invitation(invitation, token), robust=True)
    except IntegrityError as error:
        raise TeamProblem("invited") from error
    return invitation


def invitation_of(token: str, *, now: datetime) -> TeamInvitation:
    """The open invitation of a link. Raises `TeamProblem`."""
    open_ones = TeamInvitation.objects.filter(accepted_at=None, revoked_at=None, expires_at__gt=now)
    invitation = open_ones.select_related("team__owner").filter(token_hash=_hash(token)).first()
    if invitation is None:
        raise TeamProblem("gone")
    return invitation


def accept(*, user: User, token: str, now: datetime) -> Team:
    """Take the offered seat; only the invited address may, and only while it is free. Raises `TeamProblem`."""
    invitation = invitation_of(token, now=now)
    if invitation.email != user.email.lower():
        raise TeamProblem("other_address")
    with transaction.atomic():
        team = Team.objects.select_for_update().get(pk=invitation.team_id)
        invitation = invitation_of(token, now=now)
        present = TeamMembership.objects.select_related("team").filter(user=user).first()
        if present and not _is_over(present.team, user, now):
            raise TeamProblem("member")
        if present:
            present.team.delete()
        count = seats_of(team, now=now)
        if count.taken >= count.paid:
            raise TeamProblem("no_seat")
        membership = TeamMembership.objects.create(team=team, user=user, joined_at=now)
        seats.take(team, membership, free=count.paid - count.taken, now=now)
        invitation.accepted_at = now
        invitation.save(update_fields=["accepted_at"])
        entitlements.record_change(user, cause=f"seat in team {team.pk}", now=now)
    return team


def revoke(*, team: Team, invitation_id: str, now: datetime) -> None:
    team.invitations.filter(pk=invitation_id, accepted_at=None, revoked_at=None).update(revoked_at=now)


@transaction.atomic
def remove(*, team: Team, user_id: str, now: datetime) -> None:
    """Free somebody's seat, or one's own by leaving. The owner's stays. Raises `TeamProblem`."""
    team = Team.objects.select_for_update().get(pk=team.pk)
    if str(team.owner_id) == str(user_id):
        raise TeamProblem("owner")
    membership = team.memberships.select_related("user").filter(user_id=user_id).first()
    if membership:
        seats.leave(team, membership, paid=seats_of(team, now=now).paid, now=now)
        entitlements.record_change(membership.user, cause=f"left team {team.pk}", now=now)
        _record_seats(team, now)


def leave(user: User, *, now: datetime) -> None:
    """The person's account is deleted: whoever waited for the seat has it, and without its owner a team has none."""
    membership = TeamMembership.objects.select_related("team").filter(user=user).first()
    if membership:
        team = Team.objects.select_for_update().get(pk=membership.team_id)
        seats.leave(team, membership, paid=seats_of(team, now=now).paid, now=now)
        _record_seats(team, now)


def _record_seats(team: Team, now: datetime) -> None:
    """Log who has a seat now, or has none any more, since somebody's was freed."""
    for user in User.objects.filter(team_membership__team=team).order_by("pk"):
        entitlements.record_change(user, cause=f"seats of team {team.pk}", now=now)


def _is_over(team: Team, owner: User, now: datetime) -> bool:
    """A team of one's own that is paid no more and in which nobody else sits."""
    return team.owner_id == owner.pk and team.memberships.count() == 1 and _team_subscription(owner, now) is None


@transaction.atomic
def _make_team(owner: User) -> Team:
    team, _is_new = Team.objects.get_or_create(owner=owner, defaults={"name": owner.get_short_name()})
    TeamMembership.objects.get_or_create(user=owner, defaults={"team": team})
    return team


def _team_subscription(owner: User, now: datetime) -> Subscription | None:
    is_over = Q(status=Subscription.Status.CANCELED) & ~Q(period_end__gt=now)
    mine = Subscription.objects.paid_for().exclude(is_over).filter(customer__user=owner, plan__is_per_seat=True)
    return mine.order_by("-started_at").first()


def _open_invitations(team: Team, now: datetime):  # type: ignore[no-untyped-def]
    return team.invitations.filter(accepted_at=None, revoked_at=None, expires_at__gt=now)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _send_invitation(invitation: TeamInvitation, token: str) -> None:
    owner = invitation.team.owner
    letters.post(
        invitation.email,
        language=owner.language,
        subject=_("%(name)s offers you a seat on %(site)s"),
        about={"name": owner.get_short_name(), "site": settings.SITE_NAME},
        template="billing/mail/invitation.txt",
        context=lambda: {
            "url": settings.SITE_URL + reverse("team-invitation", args=[token]),
            "team": invitation.team.name,
            "owner": owner.email,
            "until": invitation.expires_at,
        },
    )
