"""Seats: who is invited, who sits, and who loses the seat when seats become fewer."""

import itertools
import re
import uuid
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts import erasure
from accounts.models import User
from billing import buckets, entitlements, quota, tasks, teams
from billing.buckets import Kind
from billing.entitlements import entitlement_of
from billing.models import EntitlementChange, Invoice, Plan

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(ann, now, subscribe):
    subscribe(ann, "team", quantity=2)
    return teams.team_of(ann, now=now)


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


def use(user, tokens, now):
    request_id = uuid.uuid4()
    quota.reserve(user=user, request_id=request_id, prompt_tokens=tokens, max_output_tokens=16, now=now)
    quota.settle(request_id=request_id, prompt_tokens=tokens, completion_tokens=0, now=now)


def left_of(user, now):
    allowance = quota.allowance_of(User.objects.get(pk=user.pk), now=now)
    return allowance.tokens_remaining, allowance.remaining


def pass_on(team, leaver, comer, now):
    teams.remove(team=team, user_id=str(leaver.pk), now=now)
    sit(team, comer, now)


def sit(team, comer, now):
    token = uuid.uuid4().hex
    team.invitations.create(email=comer.email, token_hash=teams._hash(token), created_at=now,
                            expires_at=now + timedelta(days=1))  # fmt: skip
    teams.accept(user=comer, token=token, now=now)


@pytest.fixture
def small_limits(plans):
    Plan.objects.filter(key="team").update(tokens_per_month=1000, messages_per_window=10, max_output_tokens=16)


def test_a_seat_passed_round_gives_no_more_than_the_plan_has_for_one(team, bob, now, small_limits):
    people = [bob, *(User.objects.create_user(f"person{number}@example.org") for number in range(4))]
    sit(team, bob, now)
    for leaver, comer in itertools.pairwise(people):
        use(leaver, 200, now)
        pass_on(team, leaver, comer, now)
    assert left_of(people[-1], now) == (200, 6)
    pass_on(team, people[-1], bob, now)
    assert left_of(bob, now) == (200, 6)
    use(bob, 180, now)
    with pytest.raises(quota.QuotaExceeded):
        use(bob, 20, now)
    next_month = now + timedelta(days=32)
    assert left_of(bob, next_month) == (1000, 10)


def test_a_seat_that_nobody_had_is_taken_before_one_that_was_left(team, ann, bob, now, subscribe, small_limits):
    subscribe(ann, "team", quantity=3)
    carl, dora = (User.objects.create_user(f"{name}@example.org") for name in ("carl", "dora"))
    sit(team, bob, now)
    use(bob, 300, now)
    pass_on(team, bob, carl, now)
    assert left_of(carl, now) == (1000, 10)
    sit(team, dora, now)
    assert left_of(dora, now) == (700, 9)


def test_who_waited_for_a_seat_goes_on_with_what_was_used_on_it(team, bob, now, small_limits):
    carl = User.objects.create_user("carl@example.org")
    sit(team, bob, now)
    team.memberships.create(user=carl, joined_at=now)
    use(bob, 300, now)
    teams.remove(team=team, user_id=str(bob.pk), now=now)
    assert (entitlement_of(carl, now=now).plan_key, left_of(carl, now)) == ("team", (700, 9))


def test_taking_over_a_seat_makes_nobody_wait_longer_for_what_they_used_themselves(team, bob, now, small_limits):
    sit(team, bob, now)
    use(bob, 900, now)
    mine = buckets.levels(user_id=bob.pk, now=now)[Kind.TOKENS]
    later = mine.resets_at + timedelta(days=1)
    buckets.begin_with(user_id=bob.pk, kind=Kind.TOKENS, used=100, resets_at=later, now=now)
    assert buckets.levels(user_id=bob.pk, now=now)[Kind.TOKENS] == mine
    buckets.begin_with(user_id=bob.pk, kind=Kind.TOKENS, used=950, resets_at=later, now=now)
    of_seat = buckets.levels(user_id=bob.pk, now=now)[Kind.TOKENS]
    assert (of_seat.used, of_seat.resets_at) == (950, later)


def test_what_was_used_on_a_seat_that_nobody_takes_is_forgotten_when_it_counts_no_more(ann, bob, subscribe, settings):
    settings.STRIPE_API_KEY = ""
    now = timezone.now()
    subscribe(ann, "team", at=now, quantity=2)
    team = teams.team_of(ann, now=now)
    sit(team, bob, now)
    use(bob, 300, now)
    teams.remove(team=team, user_id=str(bob.pk), now=now)
    tasks.reconcile()
    assert set(team.freed_seats.values_list("kind", "used")) == {("messages", 1), ("tokens", 300)}
    team.freed_seats.filter(kind="messages").update(resets_at=now)
    tasks.reconcile()
    assert list(team.freed_seats.values_list("kind", flat=True)) == ["tokens"]
    team.freed_seats.update(resets_at=now)
    tasks.reconcile()
    assert not team.freed_seats.exists()


def test_a_seat_of_somebody_who_deleted_their_account_goes_on_with_what_they_used(team, bob, now, small_limits):
    carl = User.objects.create_user("carl@example.org")
    sit(team, bob, now)
    use(bob, 300, now)
    erasure.erase(bob.pk, now=now)
    sit(team, carl, now)
    assert left_of(carl, now) == (700, 9)


def test_what_somebody_used_before_they_sat_down_does_not_go_with_the_seat(team, bob, now, small_limits):
    carl, dora = (User.objects.create_user(f"{name}@example.org") for name in ("carl", "dora"))
    sit(team, bob, now)
    use(bob, 300, now)
    use(carl, 500, now)
    use(carl, 100, now)
    pass_on(team, bob, carl, now)
    assert left_of(carl, now) == (400, 8)
    use(carl, 50, now)
    pass_on(team, carl, dora, now)
    assert left_of(dora, now) == (650, 8)


def test_what_somebody_used_on_a_seat_of_another_team_stays_with_that_one(team, bob, now, subscribe, small_limits):
    owner, carl, dora = (User.objects.create_user(f"{name}@example.org") for name in ("owner", "carl", "dora"))
    subscribe(owner, "team", quantity=2)
    elsewhere, later = teams.team_of(owner, now=now), now + timedelta(minutes=1)
    sit(elsewhere, carl, now)
    use(carl, 600, now)
    teams.remove(team=elsewhere, user_id=str(carl.pk), now=later)
    sit(team, carl, later)
    use(carl, 50, later)
    pass_on(team, carl, dora, later)
    assert left_of(dora, later) == (950, 9)


def test_what_a_better_plan_of_ones_own_paid_for_does_not_go_with_the_seat(team, bob, now, subscribe, small_limits):
    carl = User.objects.create_user("carl@example.org")
    sit(team, bob, now)
    use(bob, 100, now)
    Plan.objects.filter(key="pro").update(position=Plan.objects.get(key="team").position + 1)
    subscribe(bob, "pro")
    assert entitlement_of(bob, now=now).plan_key == "pro"
    use(bob, 700, now)
    pass_on(team, bob, carl, now)
    assert left_of(carl, now) == (900, 9)


def test_a_reply_that_still_runs_goes_with_the_seat_as_long_as_it_may_become(team, bob, now, small_limits):
    carl = User.objects.create_user("carl@example.org")
    sit(team, bob, now)
    quota.reserve(user=bob, request_id=uuid.uuid4(), prompt_tokens=84, max_output_tokens=16, now=now)
    pass_on(team, bob, carl, now)
    assert left_of(carl, now) == (900, 9)


def test_what_was_used_on_a_seat_counts_no_longer_than_its_month(team, bob, now, small_limits):
    carl, dora = (User.objects.create_user(f"{name}@example.org") for name in ("carl", "dora"))
    sit(team, bob, now)
    use(bob, 300, now)
    pass_on(team, bob, carl, now)
    next_month = now + timedelta(days=32)
    use(carl, 50, next_month)
    pass_on(team, carl, dora, next_month)
    assert left_of(dora, next_month) == (950, 9)


def test_a_team_keeps_its_seats_while_the_refund_that_ended_it_is_not_at_the_payer(team, ann, bob, now, subscribe):
    sit(team, bob, now)
    ended = subscribe(ann, "team", quantity=2, status="canceled", ended_at=now, latest_invoice_id="in_1")
    Invoice.objects.create(
        stripe_id="in_1", customer=ended.customer, subscription_id=ended.pk, status="paid", currency="usd", total=2000,
        amount_due=2000, amount_paid=2000, created_at=now, period_end=ended.period_end, refund_failure="declined",
    )  # fmt: skip
    assert (entitlement_of(ann, now=now).plan_key, entitlement_of(bob, now=now).plan_key) == ("team", "team")
    assert teams.seats_of(team, now=now) == teams.Seats(paid=2, taken=2, offered=0)
    assert teams.seats_of(team, now=ended.period_end).paid == 0


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
        teams.invite(team=teams.team_of(bob, now=now), email=ann.email, now=now)
    with pytest.raises(teams.TeamProblem):
        teams.accept(user=ann, token=link(), now=now)
    subscribe(ann, "team", quantity=2, status="canceled")
    assert teams.accept(user=ann, token=link(), now=now).owner == bob
