"""Change, cancel and resume a plan."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from billing import checkout, stripe, subscriptions
from billing.entitlements import entitlement_of
from billing.forms import CancelForm, ChangeForm, PriceForm, WishForm
from billing.models import Subscription
from billing.money import money
from billing.subscriptions import Direction
from billing.views.plans import person, unanswered, unavailable

PREVIEW_HOLDS_SECONDS = 3600


def _problem(request: HttpRequest, problem: subscriptions.CannotChange) -> HttpResponse:
    texts = {
        "same": _("That is the plan you have."),
        "currency": _("A running plan keeps its currency. Cancel it first to change the currency."),
        "not_open": _("Your plan has an open payment. Settle that first."),
        "cancelled": _("Your plan is cancelled. Keep it first, then change it."),
        "busy": _("An earlier change of your plan is still being made. Try again in a minute or two."),
        "given_back": _("The payment for this period went back, so the plan is at rest. Cancel it to choose anew."),
    }
    text = texts.get(problem.code, _("The payment did not go through, so nothing was changed. Check your card."))
    messages.error(request, text)
    return redirect("plans")


def _subscription(request: HttpRequest) -> Subscription | None:
    return checkout.open_subscription(person(request))


@require_GET
@login_required
@never_cache
def preview(request: HttpRequest) -> HttpResponse:
    """What a change costs, before it is made."""
    now = timezone.now().replace(microsecond=0)
    subscription = _subscription(request)
    form = PriceForm(request.GET)
    if subscription is None or not form.is_valid():
        return redirect("plans")
    quantity = form.cleaned_data["seats"] or subscription.quantity
    try:
        change = subscriptions.preview(
            subscription=subscription, price=form.cleaned_data["price"], quantity=quantity, now=now
        )
    except subscriptions.CannotChange as problem:
        return _problem(request, problem)
    except (stripe.StripeUnavailable, stripe.StripeRefused):
        return unavailable(request)
    context = {
        "change": change,
        "subscription": subscription,
        "due": money(change.due, change.currency),
        "lines": [(text, money(amount, change.currency)) for text, amount in change.lines],
        "price_text": money(change.renews_for, change.price.currency),
        "is_up": change.direction == Direction.UP,
        "at": int(now.timestamp()),
        "wish_id": uuid.uuid4(),
    }
    return render(request, "billing/change.html", context)


@require_POST
@login_required
def change(request: HttpRequest) -> HttpResponse:
    """Make the change that was previewed, at the moment it was previewed for."""
    now = timezone.now()
    subscription = _subscription(request)
    form = ChangeForm(request.POST)
    if subscription is None or not form.is_valid():
        return redirect("plans")
    values = form.cleaned_data
    at = datetime.fromtimestamp(values["at"], tz=UTC)
    if not 0 <= (now - at).total_seconds() <= PREVIEW_HOLDS_SECONDS:
        messages.error(request, _("That preview is too old. Look at the price again."))
        return redirect("plans")
    wanted = {
        "subscription": subscription,
        "price": values["price"],
        "quantity": values["seats"] or subscription.quantity,
    }
    try:
        costs = subscriptions.preview(**wanted, now=at)
        if (costs.due, costs.renews_for) != (values["due"], values["amount"]):
            messages.error(request, _("The price has changed since you looked. Look at it again."))
            return redirect("plans")
        direction = subscriptions.change(**wanted, wish_id=values["wish"], at=at, now=now)
    except subscriptions.CannotChange as problem:
        return _problem(request, problem)
    except stripe.StripeUnavailable:
        return unanswered(request)
    except stripe.StripeRefused:
        return unavailable(request)
    _tell_outcome(request, direction, values["price"].plan.name, values["price"].plan_id)
    return redirect("plans")


def _tell_outcome(request: HttpRequest, direction: Direction, plan_name: str, plan_key: str) -> None:
    if direction == Direction.DOWN:
        text = _("You keep your plan until it runs out, then %(plan)s begins.") % {"plan": plan_name}
        messages.success(request, text)
    elif entitlement_of(person(request), now=timezone.now()).plan_key == plan_key:
        messages.success(request, _("You are on %(plan)s now.") % {"plan": plan_name})
    else:
        text = _("Your bank wants to confirm the payment. Open the newest invoice; the plan changes when it is paid.")
        messages.warning(request, text)


@login_required
@never_cache
def cancel(request: HttpRequest) -> HttpResponse:
    """Ask why, then end the plan when what was paid for ends."""
    subscription = _subscription(request)
    if subscription is None:
        return redirect("plans")
    form = CancelForm(request.POST or None, initial={"wish": uuid.uuid4()})
    if request.method != "POST" or not form.is_valid():
        ends_at_once = subscriptions.ends_at_once(subscription)
        context = {"form": form, "subscription": subscription, "ends_at_once": ends_at_once}
        return render(request, "billing/cancel.html", context)
    try:
        subscriptions.cancel(
            subscription=subscription,
            reason=form.cleaned_data["reason"],
            comment=form.cleaned_data["comment"],
            wish_id=form.cleaned_data["wish"],
            now=timezone.now(),
        )
    except subscriptions.CannotChange as problem:
        return _problem(request, problem)
    except stripe.StripeUnavailable:
        return unanswered(request)
    except stripe.StripeRefused:
        return unavailable(request)
    subscription.refresh_from_db()
    if subscription.ended_at:
        messages.success(request, _("Your plan has ended. Your conversations stay."))
        return redirect("plans")
    end = subscription.period_end or timezone.now()
    text = _("Your plan ends on %(day)s. Until then nothing changes, and your conversations stay.")
    messages.success(request, text % {"day": date_format(timezone.localtime(end), "DATE_FORMAT")})
    return redirect("plans")


@require_POST
@login_required
def resume(request: HttpRequest) -> HttpResponse:
    """Take back a cancellation or a downgrade."""
    subscription = _subscription(request)
    form = WishForm(request.POST)
    if subscription is None or not form.is_valid():
        return redirect("plans")
    try:
        subscriptions.resume(subscription=subscription, wish_id=form.cleaned_data["wish"], now=timezone.now())
    except subscriptions.CannotChange as problem:
        return _problem(request, problem)
    except stripe.StripeUnavailable:
        return unanswered(request)
    except stripe.StripeRefused:
        return unavailable(request)
    messages.success(request, _("Your plan goes on as it was."))
    return redirect("plans")
