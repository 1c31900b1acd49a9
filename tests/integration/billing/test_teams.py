"""Seats: who is invited, who sits, and who loses the seat when seats become fewer."""

import re

import pytest
from django.core import mail

from accounts import erasure
from accounts.models import User
from billing import entitlements, teams
from billing.entitlements import entitlement_of
from billing.models import EntitlementChange

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(ann, subscribe):
    subscribe(ann, "team", quantity=2)
    return teams.team_of(ann)


def link(index=-1):
    return re.search(r"/billing/team/join/(\S+)", mail.outbox[index].body)[1]


def test_an_invited_person_takes_the_seat_and_has_the_plan(team, bob, now, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        teams.invite(team=team, email="Bob@Example.org ", now=now)
    teams.accept(user=bob, token=link(), now=now)
    assert entitlement_of(bob, now=now).plan_key == "team"
    assert teams.seats_of(team, now=now) == teams.Seats(paid=2, taken=2, offered=0)
    with pytest.raises(teams.TeamProblem) as again:
        teams.accept(user=bob, token=link(), now=now)
    assert again.value.code == "gone"


def test_no_more_people_are_invited_than_seats_are_paid(team, now):
    teams.invite(team=team, email="bob@example.org", now=now)
    with pytest.raises(teams.TeamProblem) as refused:
        teams.invite(team=team, email="carl@example.org", now=now)
    assert refused.value.code == "no_seat"


def test_only_the_invited_address_may_take_the_seat(team, bob, now, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        teams.invite(team=team, email="carl@example.org", now=now)
    with pytest.raises(teams.TeamProblem) as refused:
        teams.accept(user=bob, token=link(), now=now)
    assert refused.value.code == "other_address"


def test_an_invitation_ends_after_a_week_or_when_it_is_taken_back(team, bob, now, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        invitation = teams.invite(team=team, email=bob.email, now=now)
    with pytest.raises(teams.TeamProblem):
        teams.invitation_of(link(), now=now + teams.INVITATION_LASTS)
    teams.revoke(team=team, invitation_id=str(invitation.pk), now=now)
    with pytest.raises(teams.TeamProblem):
        teams.invitation_of(link(), now=now)


def test_who_joined_last_loses_the_seat_when_seats_become_fewer(team, ann, bob, now, subscribe):
    team.memberships.create(user=bob, joined_at=now)
    assert entitlement_of(bob, now=now).plan_key == "team"
    subscribe(ann, "team", quantity=1)
    assert entitlement_of(bob, now=now).plan_key == "free"
    assert entitlement_of(ann, now=now).plan_key == "team"


def test_leaving_frees_the_seat_and_the_owner_stays(team, ann, bob, now):
    team.memberships.create(user=bob, joined_at=now)
    teams.remove(team=team, user_id=str(bob.pk), now=now)
    assert entitlement_of(User.objects.get(pk=bob.pk), now=now).plan_key == "free"
    with pytest.raises(teams.TeamProblem):
        teams.remove(team=team, user_id=str(ann.pk), now=now)


def newest_change(user):
    return EntitlementChange.objects.filter(user=user).latest("id").to_plan


def test_whoever_waits_for_a_seat_has_the_one_that_somebody_frees_and_the_log_says_so(team, bob, now):
    carl, dora = (User.objects.create_user(f"{name}@example.org") for name in ("carl", "dora"))
    for user in (bob, carl, dora):
        team.memberships.create(user=user, joined_at=now)
    teams.remove(team=team, user_id=str(bob.pk), now=now)
    assert (entitlement_of(carl, now=now).plan_key, newest_change(carl)) == ("team", "team")
    erasure.erase(carl.pk, now=now)
    assert (entitlement_of(dora, now=now).plan_key, newest_change(dora)) == ("team", "team")


def test_without_its_owner_a_team_has_no_plan_and_the_log_says_so(team, ann, bob, now):
    team.memberships.create(user=bob, joined_at=now)
    entitlements.record_change(bob, cause="test", now=now)
    erasure.erase(ann.pk, now=now)
    assert (entitlement_of(bob, now=now).plan_key, newest_change(bob)) == ("free", "free")


def test_who_owned_a_team_that_is_paid_no_more_can_take_a_seat_elsewhere(
    team, ann, bob, now, subscribe, django_capture_on_commit_callbacks
):
    subscribe(bob, "team", quantity=2)
    with django_capture_on_commit_callbacks(execute=True):
        teams.invite(team=teams.team_of(bob), email=ann.email, now=now)
    with pytest.raises(teams.TeamProblem):
        teams.accept(user=ann, token=link(), now=now)
    subscribe(ann, "team", quantity=2, status="canceled")
    assert teams.accept(user=ann, token=link(), now=now).owner == bob
