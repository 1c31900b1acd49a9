"""The plans page, which is also the page at the wall, and the way through Checkout and back."""

from __future__ import annotations

import uuid
from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from billing import checkout, commands, offers, quota, stripe, teams
from billing.entitlements import entitlement_of, money_was_given_back
from billing.forms import CheckoutForm, PortalForm

CHECKOUT_PROBLEMS = {
    "subscribed": gettext_lazy("You already have a plan. Change it here instead of buying a second one."),
    "currency": gettext_lazy("Your earlier invoices are in another currency. Choose that currency to go on."),
    "busy": gettext_lazy("Another payment page is being opened for you. Use that one, or try again in a minute."),
    "refused": gettext_lazy("The payment page could not be opened. Try again, or choose another currency."),
}


def person(request: HttpRequest) -> User:
    """Who is signed in; for views behind `login_required`."""
    return cast(User, request.user)


def unavailable(request: HttpRequest) -> HttpResponse:
    """Back to the plans with a plain word when Stripe cannot be asked."""
    messages.error(request, _("The payment service cannot be reached. Nothing was charged; try again in a minute."))
    return redirect("plans")


def unanswered(request: HttpRequest) -> HttpResponse:
    """Back to the plans when Stripe was asked for a change and may have heard it."""
    text = _(
        "The payment service did not answer. We go on trying for some minutes: this page shows the change once it is "
        "made. Nothing is charged twice."
    )
    messages.error(request, text)
    return redirect("plans")


@require_GET
@never_cache
def plans(request: HttpRequest) -> HttpResponse:
    """Every plan, and for a signed-in person what they have left and when it comes back."""
    now = timezone.now()
    user = request.user if isinstance(request.user, User) else None
    subscription = checkout.open_subscription(user) if user else None
    choice = offers.choice_for(
        user,
        currency=request.GET.get("currency", ""),
        interval=request.GET.get("interval", ""),
        language=get_language() or "",
    )
    offered = offers.offers_for(user, choice, now=now)
    context = {
        "choice": choice,
        "intervals": [("month", _("Monthly")), ("year", _("Yearly"))],
        "offers": offered,
        "is_current_shown": any(offer.action == "current" and not offer.plan.is_free for offer in offered),
        "wish_id": uuid.uuid4(),
        "allowance": quota.allowance_of(user, now=now) if user else None,
        "entitlement": entitlement_of(user, now=now) if user else None,
        "subscription": subscription,
        "is_at_rest": bool(subscription and money_was_given_back(subscription)),
        "has_team": bool(user and teams.team_of(user, now=now)),
        "is_selling": stripe.is_configured(),
    }
    return render(request, "billing/plans.html", context)


@require_POST
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """Open Checkout for a price on offer."""
    form = CheckoutForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("That price is not offered any more. Choose one from this page."))
        return redirect("plans")
    try:
        url = checkout.start(
            user=person(request),
            price=form.cleaned_data["price"],
            quantity=form.cleaned_data["seats"] or 1,
            wish_id=form.cleaned_data["wish"],
            language=get_language() or "",
            now=timezone.now(),
        )
    except checkout.CannotCheckOut as problem:
        messages.error(request, CHECKOUT_PROBLEMS[problem.code])
        return redirect("plans")
    except (stripe.StripeUnavailable, stripe.StripeRefused, commands.CommandRefused):
        return unavailable(request)
    return redirect(url)


@require_GET
@login_required
@never_cache
def returned(request: HttpRequest) -> HttpResponse:
    """Back from Checkout: fetch what was bought at once, webhook or not."""
    now = timezone.now()
    user = person(request)
    try:
        subscription = checkout.complete(user=user, session_id=request.GET.get("session_id", "")[:200], now=now)
    except stripe.StripeUnavailable:
        subscription = checkout.open_subscription(user)
    entitlement = entitlement_of(user, now=now)
    context = {
        "subscription": subscription,
        "entitlement": entitlement,
        "allowance": quota.allowance_of(user, now=now),
        "is_ready": entitlement.plan_key != "free",
        "is_trial_refused": bool(subscription and subscription.trial_standing == "refused"),
    }
    return render(request, "billing/returned.html", context)


@login_required
@never_cache
def portal(request: HttpRequest) -> HttpResponse:
    """On to Stripe's own page for cards, tax ids and receipts. Letters link here, so GET works too."""
    form = PortalForm(request.POST or request.GET)
    values = form.cleaned_data if form.is_valid() else {}
    try:
        url = checkout.portal(
            user=person(request),
            wish_id=values.get("wish") or uuid.uuid4(),
            flow="payment_method_update" if values.get("flow") == "card" else "",
            language=get_language() or "",
            now=timezone.now(),
        )
    except (stripe.StripeUnavailable, stripe.StripeRefused, commands.CommandRefused):
        return unavailable(request)
    return redirect(url)
