"""The plans a new installation starts with. Staff change them in the admin; seeding again never overwrites that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction

from billing.models import Plan, Price

WINDOW = timedelta(hours=3)

PLANS: dict[str, dict[str, Any]] = {
    "free": {
        "name": "Free",
        "position": 1,
        "messages_per_window": 20,
        "smaller_model_messages": 40,
        "tokens_per_month": 500_000,
        "concurrent_replies": 2,
        "context_tokens": 8192,
        "max_output_tokens": 1024,
        "priority": 2,
        "queue": Plan.Queue.FREE,
    },
    "plus": {
        "name": "Plus",
        "position": 2,
        "trial_days": 7,
        "messages_per_window": 160,
        "smaller_model_messages": 160,
        "tokens_per_month": 10_000_000,
        "concurrent_replies": 4,
        "context_tokens": 8192,
        "max_output_tokens": 2048,
        "priority": 1,
        "queue": Plan.Queue.PLUS,
    },
    "team": {
        "name": "Team",
        "position": 3,
        "is_per_seat": True,
        "messages_per_window": 400,
        "smaller_model_messages": 400,
        "tokens_per_month": 20_000_000,
        "concurrent_replies": 6,
        "context_tokens": 8192,
        "max_output_tokens": 4096,
        "has_api_access": True,
        "priority": 0,
        "queue": Plan.Queue.PRO,
    },
    "pro": {
        "name": "Pro",
        "position": 4,
        "messages_per_window": 1500,
        "smaller_model_messages": 1500,
        "tokens_per_month": 60_000_000,
        "concurrent_replies": 8,
        "context_tokens": 8192,
        "max_output_tokens": 4096,
        "has_api_access": True,
        "priority": 0,
        "queue": Plan.Queue.PRO,
    },
}

# (plan, interval) -> minor units in each currency
PRICES: dict[tuple[str, str], dict[str, int]] = {
    ("plus", "month"): {"usd": 2000, "eur": 1900, "cny": 14_000},
    ("plus", "year"): {"usd": 20_000, "eur": 19_000, "cny": 140_000},
    ("team", "month"): {"usd": 3000, "eur": 2800, "cny": 21_000},
    ("team", "year"): {"usd": 30_000, "eur": 28_000, "cny": 210_000},
    ("pro", "month"): {"usd": 20_000, "eur": 19_000, "cny": 140_000},
    ("pro", "year"): {"usd": 200_000, "eur": 190_000, "cny": 1_400_000},
}


@transaction.atomic
def seed_plans() -> None:
    """Create the plans and prices that are absent. What exists, edited or not, stays as it is."""
    made = []
    for key, values in PLANS.items():
        plan, is_new = Plan.objects.get_or_create(key=key, defaults={"window": WINDOW, **values})
        made += [plan] if is_new else []
    for (key, interval), amounts in PRICES.items():
        for currency, amount in amounts.items():
            Price.objects.get_or_create(
                plan_id=key, interval=interval, currency=currency, defaults={"unit_amount": amount}
            )
    for plan in made:
        plan.revise(by="installation")
