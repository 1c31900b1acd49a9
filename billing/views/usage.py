"""What was used, and the bills."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from billing import checkout, quota, stripe, usage
from billing.entitlements import entitlement_of
from billing.models import Invoice
from billing.views.plans import person

INVOICES_ON_A_PAGE = 20


@require_GET
@login_required
@never_cache
def usage_page(request: HttpRequest) -> HttpResponse:
    """What is left, when it comes back, and the last thirty days."""
    now = timezone.now()
    user = person(request)
    days = usage.days_of(user, now=now)
    labels = [date_format(day.day, "MONTH_DAY_FORMAT") for day in days]
    context = {
        "allowance": quota.allowance_of(user, now=now),
        "entitlement": entitlement_of(user, now=now),
        "message_points": list(zip(labels, [day.messages for day in days], strict=True)),
        "token_points": list(zip(labels, [day.tokens for day in days], strict=True)),
        "totals": {"messages": sum(day.messages for day in days), "tokens": sum(day.tokens for day in days)},
    }
    return render(request, "billing/usage.html", context)


@require_GET
@login_required
@never_cache
def invoices(request: HttpRequest) -> HttpResponse:
    mine = Invoice.objects.filter(customer__user=person(request)).exclude(status=Invoice.Status.DRAFT)
    page = Paginator(mine, INVOICES_ON_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "billing/invoices.html", {"page": page})


@require_GET
@login_required
@never_cache
def open_invoice(request: HttpRequest, invoice_id: str, form: str) -> HttpResponse:
    """On to the invoice's page or PDF; the link is asked for afresh, because links expire."""
    invoice = get_object_or_404(Invoice, pk=invoice_id, customer__user=person(request))
    try:
        facts = stripe.retrieve_invoice(invoice.stripe_id)
    except (stripe.StripeUnavailable, stripe.StripeRefused):
        messages.error(request, _("The invoice cannot be fetched just now. Try again in a minute."))
        return redirect("invoices")
    return redirect(facts.pdf_url if form == "pdf" else facts.page_url)


@require_GET
@login_required
@never_cache
def pay(request: HttpRequest) -> HttpResponse:
    """On to the newest bill that is open for the person's plan: on its page it is paid with any card, and a bank that
    wants it confirmed can ask."""
    subscription = checkout.open_subscription(person(request))
    bills = Invoice.objects.filter(customer__user=person(request), status=Invoice.Status.OPEN)
    bill = bills.filter(subscription_id=subscription.pk).first() if subscription else None
    if bill is None:
        messages.info(request, _("No bill of your plan is open."))
        return redirect("invoices")
    return redirect("invoice-page", bill.pk)
