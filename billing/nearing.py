"""Tell people and their programs, once for each window, that four fifths of a limit are used."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts import letters
from accounts.models import User, WebhookEndpoint
from accounts.webhooks import publishing
from billing.models import UsageBucket

if TYPE_CHECKING:
    from billing.quota import Allowance

EVENT = WebhookEndpoint.Event.QUOTA_NEAR
LETTER = letters.Kind.LIMIT_NEAR


def is_wanted(user: User) -> bool:
    """Whether it is worth finding out how much is left."""
    return letters.is_wanted(user, LETTER) or publishing.is_wanted(user_id=user.pk, event=EVENT)


def tell(user: User, allowance: Allowance, *, now: datetime) -> None:
    """Programs hear of messages and tokens, by letter of the month's tokens alone. Runs in the caller's transaction."""
    _publish(user, allowance, now=now)
    if allowance.tokens_used >= allowance.token_low_mark and _is_first_in_window(user, now):
        transaction.on_commit(lambda: _write(user, allowance), robust=True)


def _publish(user: User, allowance: Allowance, *, now: datetime) -> None:
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
        publishing.publish(user_id=user.pk, event=EVENT, subject=subject, data=what, now=now)


def _is_first_in_window(user: User, now: datetime) -> bool:
    """True once for a window, whoever asks at the same time; a person who refuses the letter is not marked."""
    if not letters.is_wanted(user, LETTER):
        return False
    untold = Q(told_window=None) | ~Q(told_window=F("window_number"))
    month = UsageBucket.objects.filter(untold, user=user, kind=UsageBucket.Kind.TOKENS, resets_at__gt=now)
    return month.update(told_window=F("window_number")) == 1


def _write(user: User, allowance: Allowance) -> None:
    letters.send(
        user,
        kind=LETTER,
        subject=_("Four fifths of your tokens for this month are used"),
        template="billing/mail/limit_near.txt",
        context=lambda: {
            "allowance": allowance,
            "usage_url": settings.SITE_URL + reverse("usage"),
            "plans_url": settings.SITE_URL + reverse("plans"),
            "settings_url": settings.SITE_URL + reverse("settings"),
        },
    )
