"""Make, find, replace and end the keys of the API, and keep each below its spending cap."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Case, F, Q, When
from django.db.models.functions import Greatest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import key_format, letters
from accounts.models import ApiKey, User
from accounts.models.keys import first_of_month

MOST_KEYS = 50
# How long the old key still works after it was replaced, so that a service can be switched without an outage.
ROTATION_OVERLAP = timedelta(hours=24)
# A write for every request would cost more than the request; people ask for the day, not for the second.
LAST_USED_ACCURACY = timedelta(minutes=10)


class CapReached(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """The key has spent its `cap` of tokens for the month; it may spend again from `resets_at` on."""

    def __init__(self, key: ApiKey, *, now: datetime) -> None:
        self.cap = key.monthly_token_cap or 0
        self.resets_at = _next_month(now)
        super().__init__(f"{self.cap} tokens a month until {self.resets_at:%Y-%m-%d}")


@transaction.atomic
def create(
    *,
    user: User,
    name: str,
    scopes: list[str],
    now: datetime,
    expires_at: datetime | None = None,
    monthly_token_cap: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is never to be had again. Raises `ValidationError` when there are too many."""
    User.objects.select_for_update(no_key=True).only("id").get(pk=user.pk)
    if ApiKey.objects.of(user).usable(now=now).count() >= MOST_KEYS:
        raise ValidationError(_("You have %(count)s keys. Revoke one that you no longer use.") % {"count": MOST_KEYS})
    text = key_format.new_key()
    key = ApiKey.objects.create(
        user=user,
        name=name,
        prefix=key_format.shown_part(text),
        digest=key_format.digest(text),
        scopes=scopes,
        created_at=now,
        expires_at=expires_at,
        monthly_token_cap=monthly_token_cap,
    )
    transaction.on_commit(lambda: _tell(key), robust=True)
    return key, text


def _tell(key: ApiKey) -> None:
    """A key opens the account like a password: its person hears of each."""
    letters.send(
        key.user,
        subject=gettext_lazy("A new API key for your account"),
        template="accounts/mail/key_made.txt",
        context=lambda: {"key": key, "url": settings.SITE_URL + reverse("keys")},
    )


@transaction.atomic
def rotate(*, key: ApiKey, now: datetime) -> tuple[ApiKey, str]:
    """A new key with the same rights; the old one works for another day, or less if it ends sooner.

    Both spend from one cap. Raises `ValidationError` for a key that opens nothing any more, or
    that was replaced before.
    """
    key = ApiKey.objects.select_for_update().select_related("user").get(pk=key.pk)
    if not key.is_usable(now=now) or key.successor_id:
        raise ValidationError(_("This key was replaced or has ended. Make a new one instead."))
    successor, text = create(
        user=key.user,
        name=key.name,
        scopes=key.scopes,
        now=now,
        expires_at=key.expires_at,
        monthly_token_cap=key.monthly_token_cap,
    )
    successor.original = key.spender
    successor.save(update_fields=["original"])
    end = now + ROTATION_OVERLAP
    key.expires_at = min(key.expires_at, end) if key.expires_at else end
    key.successor = successor
    key.save(update_fields=["expires_at", "successor"])
    return successor, text


def revoke(*, key: ApiKey, now: datetime) -> None:
    """End the key at once; harmless when it has ended."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)


def find(text: str, *, now: datetime) -> ApiKey | None:
    """The usable key with this text, its person loaded; None for anything else."""
    if not key_format.is_well_formed(text):
        return None
    usable = ApiKey.objects.usable(now=now).select_related("user")
    key = usable.filter(digest=key_format.digest(text)).first()
    if key and (key.last_used_at is None or key.last_used_at < now - LAST_USED_ACCURACY):
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def take(*, key: ApiKey, tokens: int, now: datetime) -> bool:
    """Take `tokens` from the month's cap, in the caller's transaction; False when there is not that much left.

    One statement begins a new month, checks and takes, so that requests at the same time never pass the cap together.
    """
    month = first_of_month(now)
    spent = Case(When(spending_month=month, then=F("tokens_spent")), default=0) + tokens
    fits = Q(monthly_token_cap=None) | Q(monthly_token_cap__gte=spent)
    spender = ApiKey.objects.filter(fits, pk=key.spender_id)
    return bool(spender.update(spending_month=month, tokens_spent=spent))


def correct(*, spender_id: uuid.UUID, taken: int, used: int, taken_at: datetime) -> None:
    """Replace what a request took by what it used; nothing when the month it took from is over."""
    ApiKey.objects.filter(pk=spender_id, spending_month=first_of_month(taken_at)).update(
        tokens_spent=Greatest(F("tokens_spent") + used - taken, 0)
    )


def left_this_month(key: ApiKey, *, now: datetime) -> int | None:
    """Tokens the key may still spend in the month, as the database has it; None without a cap."""
    if key.monthly_token_cap is None:
        return None
    spender = ApiKey.objects.get(pk=key.spender_id)
    return max(0, key.monthly_token_cap - spender.spent_in(now=now))


def _next_month(now: datetime) -> datetime:
    """When the calendar month (UTC) after that of `now` begins."""
    later = first_of_month(now) + timedelta(days=32)
    return datetime(later.year, later.month, 1, tzinfo=UTC)
