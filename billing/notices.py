"""Letters about money, each sent once for the same invoice and kind."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts import letters
from billing.entitlements import GRACE
from billing.models import Invoice, Notice, Subscription
from billing.money import money


def of_invoice(invoice: Invoice, *, now: datetime) -> None:
    """Tell the payer when a renewal was not paid. Inside the transaction that saved the invoice.

    Whoever goes up and is declined sees it at once, and keeps what they have.
    """
    is_renewal = invoice.billing_reason == "subscription_cycle"
    if is_renewal and invoice.status == Invoice.Status.OPEN and invoice.attempt_count > 0:
        _send_once(invoice, Notice.Kind.PAYMENT_FAILED, now)


def _send_once(invoice: Invoice, kind: Notice.Kind, now: datetime) -> None:
    user = invoice.customer.user
    if user is None:
        return
    _notice, is_new = Notice.objects.get_or_create(subject_id=invoice.pk, kind=kind, defaults={"sent_at": now})
    if is_new:
        transaction.on_commit(lambda: _send(invoice, kind, now), robust=True)


def _send(invoice: Invoice, kind: Notice.Kind, now: datetime) -> None:
    user = invoice.customer.user
    if user is None:
        return
    letters.send(
        user,
        subject=_("Your payment to %(site)s did not go through"),
        about={"site": settings.SITE_NAME},
        template=f"billing/mail/{kind}.txt",
        context=lambda: {
            "amount": money(invoice.amount_due, invoice.currency),
            "until": _grace_began(invoice, now) + GRACE,
            "pay_url": settings.SITE_URL + reverse("invoice-page", args=[invoice.pk]),
            "update_url": settings.SITE_URL + reverse("billing-portal"),
        },
    )


def _grace_began(invoice: Invoice, now: datetime) -> datetime:
    """As the pages say it; heard of late, it is no longer now."""
    subscription = Subscription.objects.filter(pk=invoice.subscription_id).first()
    return (subscription.past_due_since if subscription else None) or now
