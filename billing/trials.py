"""A trial is given once a person: not again with another account of the same mailbox, with the address that the account
had before, or after a deletion.

What is kept of an address is a keyed hash (HMAC-SHA-256 under the site's secret key): it answers whether a given
address had a trial, and nobody can read the address from it. It is forgotten `KEPT_FOR` after the trial or, if that is
later, the deletion.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils.crypto import salted_hmac

from accounts.models import User
from billing.models import Customer, TrialMemory

KEPT_FOR = timedelta(days=3 * 365)
_SALT = "billing.trials"
_WITHOUT_DOTS = ("gmail.com", "googlemail.com")


def had_trial(user: User) -> bool:
    """Whether the person had a trial here, with this account or another one of the same mailbox."""
    if Customer.objects.filter(user=user, trial_used_at__isnull=False).exists():
        return True
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [_digest(address, key) for address in _addresses(user) for key in keys]
    return TrialMemory.objects.filter(digest__in=digests).exists()


def remember(user: User, *, now: datetime) -> bool:
    """Keep of somebody who begins a trial or leaves that they had one; returns whether there was anything to keep."""
    if not had_trial(user):
        return False
    memories = [
        TrialMemory(digest=_digest(address, settings.SECRET_KEY), kept_since=now) for address in _addresses(user)
    ]
    TrialMemory.objects.bulk_create(
        memories, update_conflicts=True, unique_fields=["digest"], update_fields=["kept_since"]
    )
    return True


def forget_old(*, now: datetime) -> int:
    """Returns how many were kept long enough."""
    return TrialMemory.objects.filter(kept_since__lt=now - KEPT_FOR).delete()[0]


def normalised(address: str) -> str:
    """The mailbox behind an address: without case, what follows a plus, and the dots that Google ignores."""
    mailbox, _at, domain = address.strip().casefold().rpartition("@")
    mailbox = mailbox.partition("+")[0] or mailbox
    if domain in _WITHOUT_DOTS:
        mailbox, domain = mailbox.replace(".", ""), _WITHOUT_DOTS[0]
    return f"{mailbox}@{domain}"


def _addresses(user: User) -> Iterable[str]:
    """Those that are known to be the person's; another's, typed by mistake, would take that person's trial."""
    confirmed = EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True)
    return sorted({normalised(address) for address in (user.email, *confirmed)})


def _digest(address: str, key: str) -> str:
    return salted_hmac(_SALT, address, secret=key, algorithm="sha256").hexdigest()
