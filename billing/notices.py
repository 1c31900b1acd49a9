"""Letters about money, each sent once for the same invoice and kind."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from billing.entitlements import GRACE
from billing.models import Invoice, Notice
from billing.money import money


def of_invoice(invoice: Invoice, *, now: datetime) -> None:
    """Tell the payer when a payment failed or needs them. Inside the transaction that saved the invoice."""
    if invoice.status == Invoice.Status.OPEN and invoice.attempt_count > 0:
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
    context = {
        "name": user.get_short_name(),
        "amount": money(invoice.amount_due, invoice.currency),
        "site_name": settings.SITE_NAME,
        "until": now + GRACE,
        "update_url": settings.SITE_URL + reverse("billing-portal"),
    }
    with translation.override(user.language or settings.LANGUAGE_CODE):
        subject = _("Your payment to %(site)s did not go through") % {"site": settings.SITE_NAME}
        send_mail(subject, render_to_string(f"billing/mail/{kind}.txt", context), None, [user.email])
