"""What a person may use, as one function of local rows: web, API, worker and queue all ask here, and never Stripe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import Q

from accounts import prepared
from accounts.models import User
from billing.models import EntitlementChange, Invoice, Plan, Subscription, TeamMembership
from billing.models.plans import FREE

# How long a failed payment leaves the plan as it was, so that a lost card never interrupts anyone's work at once.
GRACE = timedelta(days=7)
# A renewal is paid about an hour after the period ends; the plan goes on meanwhile, and longer if we hear late.
RENEWAL_SLACK = timedelta(days=3)


class Reason(StrEnum):
    FREE = "free"
    SUBSCRIBED = "subscribed"
    TRIAL = "trial"
    GRACE = "grace"
    SEAT = "seat"


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What one person may use now. `models` names models on offer; `*` stands for all of them."""

    plan_key: str
    plan_name: str
    plan_position: int
    messages_per_window: int
    smaller_model_messages: int
    window: timedelta
    tokens_per_month: int
    concurrent_replies: int
    context_tokens: int
    max_output_tokens: int
    models: tuple[str, ...]
    has_api_access: bool
    priority: int
    queue: str
    reason: Reason
    month_anchor: datetime
    """Monthly budgets start on this day of the month, at this time of day."""
    grace_until: datetime | None = None
    is_own: bool = True
    """Whether nobody else pays for it, as the owner of a team does."""


def entitlement_of(user: User, *, now: datetime) -> Entitlement:
    """The best plan that the person has a right to at `now`; Free when there is none."""
    free, subscription_ids = _free_plan_and_subscriptions(user)
    granted = [grant for row in _usable(subscription_ids, user) if (grant := _granted_by(row, user, now))]
    if granted:
        return max(granted, key=lambda grant: (grant.plan_position, grant.month_anchor))
    return _entitlement(free, Reason.FREE, user.date_joined)


def record_change(user: User, *, cause: str, now: datetime) -> bool:
    """Write the audit log if the person's plan is not what the log says; returns whether it changed.

    Call it inside the transaction that changed the rows, so that the log never misses one.
    """
    User.objects.select_for_update(no_key=True).only("id").get(pk=user.pk)
    newest = EntitlementChange.objects.filter(user=user).order_by("-id").first()
    before = newest.to_plan if newest else FREE
    after = entitlement_of(user, now=now).plan_key
    if before == after:
        return False
    EntitlementChange.objects.create(user=user, from_plan=before, to_plan=after, cause=cause, changed_at=now)
    return True


# The plan that the log says a person has, for statements that note it beside something else: `{user}` is their id. What
# they may use is asked of `entitlement_of`; the log knows it too, but of a plan that ended by the clock a little later.
RECORDED_PLAN = f"""COALESCE((
    SELECT to_plan FROM billing_entitlementchange WHERE user_id = {{user}} ORDER BY id DESC LIMIT 1
), '{FREE}')"""  # noqa: S608 - of a constant


def record_changes_by_time(*, now: datetime) -> int:
    """Log those whose plan ended by the clock alone (grace, slack or a cancelled period ran out); returns how many."""
    is_over = Q(period_end__lte=now, status=Subscription.Status.CANCELED)
    lapsed = Subscription.objects.paid_for().filter(
        Q(past_due_since__lte=now - GRACE) | Q(period_end__lte=now - RENEWAL_SLACK) | Q(cancels_at__lte=now) | is_over
    )
    payers = lapsed.values("customer__user")
    people = User.objects.filter(Q(pk__in=payers) | Q(team_membership__team__owner__in=payers)).distinct()
    changed = 0
    for user in people.iterator():
        with transaction.atomic():
            changed += record_change(user, cause="time", now=now)
    return changed


# Asked for every message, so it is one cheap statement, which is all there is to do for people without a subscription.
_FREE_PLAN_AND_SUBSCRIPTIONS = f"""
SELECT {prepared.columns(Plan, of="plan")}, ARRAY(
  SELECT subscription.stripe_id FROM billing_customer customer
  JOIN billing_subscription subscription ON subscription.customer_id = customer.id
  WHERE customer.user_id = %(user)s
  UNION
  SELECT subscription.stripe_id FROM billing_teammembership membership
  JOIN billing_team team ON team.id = membership.team_id
  JOIN billing_customer customer ON customer.user_id = team.owner_id
  JOIN billing_subscription subscription ON subscription.customer_id = customer.id
  WHERE membership.user_id = %(user)s
) AS subscription_ids
FROM billing_plan plan WHERE plan.key = %(free)s
"""  # noqa: S608 - of our own columns


def _free_plan_and_subscriptions(user: User) -> tuple[Plan, list[str]]:
    """The Free plan, and the ids of all subscriptions that the person or the person's team ever had."""
    ((*plan, subscription_ids),) = prepared.fetch(_FREE_PLAN_AND_SUBSCRIPTIONS, {"user": user.pk, "free": FREE})
    return prepared.made(Plan, plan), subscription_ids


def _usable(ids: list[str], user: User) -> list[Subscription]:
    """Those that are paid for, or may be, by the person or with a seat for them."""
    if not ids:
        return []
    mine_or_seat = Q(customer__user=user) | Q(plan__is_per_seat=True)
    return list(
        Subscription.objects.paid_for()
        .filter(mine_or_seat, pk__in=ids, plan__isnull=False, customer__is_deleted=False)
        .select_related("plan", "customer")
    )


def _granted_by(subscription: Subscription, user: User, now: datetime) -> Entitlement | None:
    plan = subscription.plan
    reason = _reason(subscription, now)
    if plan is None or reason is None or money_was_given_back(subscription):
        return None
    is_own = subscription.customer.user_id == user.pk
    if not is_own:
        if not _has_seat(subscription, user):
            return None
        reason = Reason.SEAT if reason != Reason.GRACE else reason
    grace_until = (subscription.past_due_since or now) + GRACE if reason == Reason.GRACE else None
    anchor = subscription.period_start or subscription.started_at
    return _entitlement(plan, reason, anchor, grace_until, is_own=is_own)


def _reason(subscription: Subscription, now: datetime) -> Reason | None:
    """Why the subscription gives its plan at `now`; None when it gives nothing."""
    if subscription.status == Subscription.Status.PAST_DUE:
        since = subscription.past_due_since
        return Reason.GRACE if since and now < since + GRACE else None
    if subscription.status == Subscription.Status.CANCELED:  # for a refund that never arrived
        return Reason.SUBSCRIBED if subscription.period_end and now < subscription.period_end else None
    if subscription.period_end and now >= subscription.period_end + RENEWAL_SLACK:
        return None
    if subscription.cancels_at and now >= subscription.cancels_at:
        return None
    if subscription.status == Subscription.Status.TRIALING:
        return None if subscription.is_trial_refused else Reason.TRIAL
    return Reason.SUBSCRIBED if subscription.status == Subscription.Status.ACTIVE else None


def money_was_given_back(subscription: Subscription) -> bool:
    """A full refund or a dispute of an invoice that pays for the present period ends the plan.

    Of any of them: the bill of an upgrade takes off what the one before had paid for, so that without that it is not
    paid either.
    """
    if not subscription.latest_invoice_id:
        return False
    begins = subscription.period_start or subscription.started_at
    of_period = Q(subscription_id=subscription.pk, period_end__gt=begins) | Q(pk=subscription.latest_invoice_id)
    return any(invoice.is_given_back for invoice in Invoice.objects.filter(of_period))


def _has_seat(subscription: Subscription, user: User) -> bool:
    """The owner and those who joined first have the seats that are paid for."""
    team_members = TeamMembership.objects.filter(team__owner_id=subscription.customer.user_id).order_by("id")
    seated = team_members.values_list("user_id", flat=True)[: subscription.quantity]
    return user.pk in set(seated)


def _entitlement(
    plan: Plan, reason: Reason, anchor: datetime, grace_until: datetime | None = None, *, is_own: bool = True
) -> Entitlement:
    return Entitlement(
        plan_key=plan.key,
        plan_name=plan.name,
        plan_position=plan.position,
        messages_per_window=plan.messages_per_window,
        smaller_model_messages=plan.smaller_model_messages,
        window=plan.window,
        tokens_per_month=plan.tokens_per_month,
        concurrent_replies=plan.concurrent_replies,
        context_tokens=plan.context_tokens,
        max_output_tokens=plan.max_output_tokens,
        models=tuple(plan.model_names),
        has_api_access=plan.has_api_access,
        priority=plan.priority,
        queue=plan.queue,
        reason=reason,
        month_anchor=anchor,
        grace_until=grace_until,
        is_own=is_own,
    )
