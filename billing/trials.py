"""A trial is given once a person: not again with another account of the same mailbox, with the address that the account
had before, with a card that began one, or after a deletion.

What is kept of an address or a card is a keyed hash (HMAC-SHA-256 under the site's secret key): it answers whether a
given one had a trial, and nobody can read it from that. It is forgotten `KEPT_FOR` after the trial or, of addresses, if
that is later, the deletion. Of a card that is Stripe's fingerprint, never a number.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils.crypto import salted_hmac

from accounts.models import User
from billing.models import Customer, StripeCommand, Subscription, TrialMemory

# How the keys begin of commands that end a trial that is not given.
REFUSED = "refused-trial:"
KEPT_FOR = timedelta(days=3 * 365)
_SALT = "billing.trials"
_SALT_OF_CARDS = "billing.trials.cards"
_WITHOUT_DOTS = ("gmail.com", "googlemail.com")


def had_trial(user: User) -> bool:
    """Whether the person had a trial here, with this account or another one of the same mailbox."""
    if Customer.objects.filter(user=user, trial_used_at__isnull=False).exists():
        return True
    digests = [_digest(address, key) for address in _addresses(user) for key in _keys()]
    return TrialMemory.objects.filter(digest__in=digests).exists()


def begin_with_card(fingerprint: str, *, now: datetime) -> bool:
    """Whether no trial was begun with this card before; remembers that one is now. Of two at once one is the first."""
    current, *former = [_digest(fingerprint, key, salt=_SALT_OF_CARDS) for key in _keys()]
    if TrialMemory.objects.filter(digest__in=former).exists():
        return False
    _memory, is_new = TrialMemory.objects.get_or_create(digest=current, defaults={"kept_since": now})
    return is_new


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


def end_refused(subscription: Subscription, *, now: datetime) -> StripeCommand:
    """Have Stripe end the trial before anything is charged, by the clock; asked again where that was given up."""
    details = {"comment": "Another trial was begun with this card before."}
    options = {"prorate": False, "invoice_now": False, "cancellation_details": details}
    values = {
        "kind": "cancel_subscription",
        "user": subscription.customer.user,
        "parameters": {"subscription": subscription.stripe_id, "options": options},
        "created_at": now,
        "next_attempt_at": now,
    }
    command, _is_new = StripeCommand.objects.get_or_create(key=f"{REFUSED}{subscription.stripe_id}", defaults=values)
    if command.state in (StripeCommand.State.DEAD, StripeCommand.State.REFUSED):
        command.state, command.finished_at, command.next_attempt_at = StripeCommand.State.WAITING, None, now
        command.save(update_fields=["state", "finished_at", "next_attempt_at"])
    return command


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


def _keys() -> list[str]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def _digest(value: str, key: str, *, salt: str = _SALT) -> str:
    return salted_hmac(salt, value, secret=key, algorithm="sha256").hexdigest()
