"""Seats and invitations."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from billing import checkout, teams
from billing.forms import InviteForm
from billing.models import Price, Subscription, Team
from billing.views.plans import person


def _problem_text(code: str) -> str:
    texts = {
        "no_seat": _("Every seat is taken or offered. Add a seat first."),
        "member": _("This person has a seat in a team already."),
        "invited": _("This address was invited already."),
        "gone": _("This invitation was used, taken back, or is older than a week. Ask for a new one."),
        "other_address": _("This invitation was sent to another address. Sign in with that one."),
        "owner": _("The owner keeps their seat."),
    }
    return texts.get(code, _("That did not work."))


def _owned(request: HttpRequest, now: datetime) -> Team | None:
    team = teams.team_of(person(request), now=now)
    return team if team and team.owner_id == person(request).pk else None


@login_required
@never_cache
def team_page(request: HttpRequest) -> HttpResponse:
    """Who sits where; for the owner also the invitations."""
    now = timezone.now()
    team = teams.team_of(person(request), now=now)
    if team is None:
        return redirect("plans")
    is_owner = team.owner_id == person(request).pk
    form = InviteForm(request.POST or None)
    if request.method == "POST" and is_owner and form.is_valid():
        try:
            teams.invite(team=team, email=form.cleaned_data["email"], now=now)
        except teams.TeamProblem as problem:
            form.add_error("email", _problem_text(problem.code))
        else:
            messages.success(request, _("The invitation is on its way."))
            return redirect("team")
    subscription = checkout.open_subscription(team.owner) if is_owner else None
    context = {
        "team": team,
        "is_owner": is_owner,
        "form": form,
        "seats": teams.seats_of(team, now=now),
        "members": team.memberships.select_related("user"),
        "invitations": teams.open_invitations(team, now=now) if is_owner else [],
        "subscription": subscription,
        "price": _price_of(subscription) if subscription else None,
    }
    return render(request, "billing/team.html", context)


def _price_of(subscription: Subscription) -> Price | None:
    """What another seat costs: a price that was replaced is not sold any more."""
    known = Price.objects.filter(stripe_price_id=subscription.price_id).first()
    today = {"plan": subscription.plan, "interval": subscription.interval, "currency": subscription.currency}
    return known or Price.objects.offered().filter(**today).first()


@require_POST
@login_required
def revoke(request: HttpRequest, invitation_id: uuid.UUID) -> HttpResponse:
    now = timezone.now()
    if team := _owned(request, now):
        teams.revoke(team=team, invitation_id=str(invitation_id), now=now)
    return redirect("team")


@require_POST
@login_required
def remove(request: HttpRequest, user_id: uuid.UUID) -> HttpResponse:
    """The owner frees anybody's seat; everybody else only their own."""
    now = timezone.now()
    team = teams.team_of(person(request), now=now)
    if team and (team.owner_id == person(request).pk or user_id == person(request).pk):
        try:
            teams.remove(team=team, user_id=str(user_id), now=now)
        except teams.TeamProblem as problem:
            messages.error(request, _problem_text(problem.code))
    return redirect("team")


@login_required
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The link in the letter: look first, then accept."""
    now = timezone.now()
    try:
        offered = teams.invitation_of(token, now=now)
        if request.method == "POST":
            teams.accept(user=person(request), token=token, now=now)
            messages.success(request, _("Welcome to the team. You have its plan from now on."))
            return redirect("team")
    except teams.TeamProblem as problem:
        messages.error(request, _problem_text(problem.code))
        return redirect("plans")
    return render(request, "billing/invitation.html", {"invitation": offered})
