"""What you may use and what you paid for: plans, the copy of Stripe's objects, the work queue, usage, teams."""

from billing.models.plans import Plan, PlanRevision, Price
from billing.models.queue import Notice, StripeCommand, StripeEvent, Turn
from billing.models.stripe_copy import Customer, Invoice, Subscription, TrialMemory
from billing.models.teams import FreedSeat, Team, TeamInvitation, TeamMembership
from billing.models.usage import EntitlementChange, Reservation, UsageBucket

__all__ = [
    "Customer",
    "EntitlementChange",
    "FreedSeat",
    "Invoice",
    "Notice",
    "Plan",
    "PlanRevision",
    "Price",
    "Reservation",
    "StripeCommand",
    "StripeEvent",
    "Subscription",
    "Team",
    "TeamInvitation",
    "TeamMembership",
    "TrialMemory",
    "Turn",
    "UsageBucket",
]
