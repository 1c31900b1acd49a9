"""What billing forgets when a person leaves: the customer at Stripe goes, with its subscriptions; the books stay, and a
copy of the person's data has them too."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts import belongings
from accounts.models import User
from billing import commands, teams, trials
from billing.models import Customer, Invoice, PlanRevision, Subscription, TeamInvitation

KEPT_TRIAL = gettext_noop(
    "That somebody with your e-mail address had a trial, and that somebody with your card had one, for %(years)s "
    "years: keyed hashes from which nobody can read either. A trial is given once a person."
)


def forget(*, user: User, now: datetime, **_arguments: Any) -> list[str]:
    customer = Customer.objects.filter(user=user).first()
    kept = [_(KEPT_TRIAL) % {"years": trials.KEPT_FOR.days // 365}] if trials.remember(user, now=now) else []
    commands.end_for(user, now=now)
    addresses = belongings.addresses_of(user)
    for address in addresses:
        TeamInvitation.objects.filter(email__iexact=address).delete()
    PlanRevision.objects.filter(changed_by=str(user)).update(changed_by="")
    _empty_events(addresses if customer is None else {*addresses, customer.stripe_id})
    Customer.objects.filter(user=user).update(is_deleted=True)
    teams.leave(user, now=now)
    if customer is None:
        return kept
    commands.delete_customer(customer.stripe_id, now=now)
    if Invoice.objects.filter(customer=customer).exists():
        kept.append(_("Invoices, as tax law asks, under the number of a customer without a name."))
    return kept


def books(*, user: User, **_arguments: Any) -> dict[str, list[Model]]:
    """What a copy of the person's data has of billing: the books are not deleted with their person."""
    return {
        kind._meta.label_lower: list(kind._default_manager.filter(**{path: user}))
        for kind, path in ((Customer, "user"), (Subscription, "customer__user"), (Invoice, "customer__user"))
    }


def _empty_events(marks: set[str]) -> None:
    """Those not worked off yet that hold one of `marks`: they are only a hint to fetch an object."""
    with connection.cursor() as cursor:
        for mark in marks:
            cursor.execute("UPDATE billing_stripeevent SET body = '' WHERE position(%s in body) > 0", [mark.encode()])
