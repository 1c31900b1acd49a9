"""What billing forgets when a person leaves: the customer at Stripe goes, with its subscriptions; the books stay, and a
copy of the person's data has them too."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import CharField, Model, Value
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.models import User
from billing import trials
from billing.models import Customer, Invoice, StripeCommand, Subscription

KEPT_TRIAL = gettext_noop(
    "That somebody with your e-mail address had a trial, for %(years)s years: a keyed hash from which nobody can "
    "read the address. A trial is given once a person."
)


def forget(*, user: User, now: datetime, **_arguments: Any) -> list[str]:
    customer = Customer.objects.filter(user=user).first()
    kept = [_(KEPT_TRIAL) % {"years": trials.KEPT_FOR.days // 365}] if trials.remember(user, now=now) else []
    ended = StripeCommand.objects.filter(user=user).exclude(state=StripeCommand.State.WAITING)
    forgotten = Concat(Value("forgotten:"), Cast("id", CharField()))  # most keys were made of the person's id
    ended.update(key=forgotten, parameters={}, result={})
    _blind_events(user.email)
    if customer is None:
        return kept
    StripeCommand.objects.get_or_create(
        key=f"delete-customer:{customer.stripe_id}",
        defaults={
            "kind": "delete_customer",
            "parameters": {"customer": customer.stripe_id},
            "created_at": now,
            "next_attempt_at": now,
        },
    )
    Customer.objects.filter(pk=customer.pk).update(is_deleted=True)
    if Invoice.objects.filter(customer=customer).exists():
        kept.append(_("Invoices, as tax law asks, under the number of a customer without a name."))
    return kept


def books(*, user: User, **_arguments: Any) -> dict[str, list[Model]]:
    """What a copy of the person's data has of billing: the books are not deleted with their person."""
    return {
        kind._meta.label_lower: list(kind._default_manager.filter(**{path: user}))
        for kind, path in ((Customer, "user"), (Subscription, "customer__user"), (Invoice, "customer__user"))
    }


def _blind_events(email: str) -> None:
    """What Stripe once told us is only a hint to fetch the object; the address in it is not needed any more."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_stripeevent SET body = '' WHERE position(%s in body) > 0", [email.encode()])
