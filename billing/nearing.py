"""Tell a person's own programs, once for each window, that four fifths of a limit are used."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from accounts.models import WebhookEndpoint
from accounts.webhooks import publishing

if TYPE_CHECKING:
    from billing.quota import Allowance

EVENT = WebhookEndpoint.Event.QUOTA_NEAR


def is_wanted(user_id: uuid.UUID) -> bool:
    return publishing.is_wanted(user_id=user_id, event=EVENT)


def tell(allowance: Allowance, user_id: uuid.UUID, *, now: datetime) -> None:
    """Messages and tokens each have their own window, by whose end the receiver knows it."""
    limits = {
        "messages": (allowance.used, allowance.limit, allowance.low_mark, allowance.resets_at),
        "tokens": (allowance.tokens_used, allowance.token_limit, allowance.token_low_mark, allowance.tokens_reset_at),
    }
    for name, (used, limit, mark, resets_at) in limits.items():
        if resets_at is None or used < mark:
            continue
        what = {"limit": name, "used": used, "of": limit, "resets_at": resets_at.isoformat()}
        subject = f"{name} until {resets_at.isoformat()}"
        publishing.publish(user_id=user_id, event=EVENT, subject=subject, data=what, now=now)
