"""Who pays for two plans at once: by two payment pages that were paid in one moment, or made by hand at Stripe.

Only a person can say which of them goes and what is given back, so it is told to staff and left alone.
"""

from __future__ import annotations

import logging

from django.db.models import Count, F, Q, QuerySet

from billing.models import Customer, Subscription

logger = logging.getLogger(__name__)


def of_several() -> QuerySet[Subscription]:
    """The open subscriptions of those who have more than one."""
    is_open = Q(subscriptions__status__in=Subscription.OPEN)
    several = Customer.objects.filter(is_deleted=False).annotate(count=Count("subscriptions", filter=is_open))
    return Subscription.objects.open().filter(customer__in=several.filter(count__gt=1).values("pk"))


def too_many(customer: Customer | None = None) -> list[Subscription]:
    """All but the best of each customer's, or of one customer's; told in the log each time."""
    found = of_several().filter(customer=customer) if customer else of_several()
    best_first = found.order_by("customer_id", F("plan__position").desc(nulls_last=True), "started_at")
    kept: set[object] = set()
    rest = []
    for subscription in best_first.select_related("customer", "plan"):
        if subscription.customer_id in kept:
            rest.append(subscription)
            _tell(subscription)
        kept.add(subscription.customer_id)
    return rest


def _tell(subscription: Subscription) -> None:
    logger.error(
        "Customer %s pays for more than one plan: decide whether %s (%s) is to end and be refunded.",
        subscription.customer,
        subscription,
        subscription.plan,
    )
