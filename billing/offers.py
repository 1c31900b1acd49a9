"""What the plans page says: every plan with its price, its limits in words, and what the visitor can do with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from accounts.models import User
from billing import checkout, entitlements, trials
from billing.models import Plan, Price, Subscription
from billing.money import money

DEFAULT_CURRENCY = {"zh-hans": "cny"}


@dataclass(frozen=True, slots=True)
class Offer:
    """One plan as a visitor sees it. `action` is `sign_up`, `buy`, `change`, `current`, `next` or empty."""

    plan: Plan
    price: Price | None
    price_text: str
    monthly_text: str
    features: list[str]
    action: str
    trial_days: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The currency and interval that prices are shown in."""

    currency: str
    interval: str
    currencies: list[str]


def choice_for(user: User | None, *, currency: str, interval: str, language: str) -> Choice:
    """What was asked for, else what the person pays in already, else the language's usual currency."""
    currencies = sorted(set(Price.objects.offered().order_by().values_list("currency", flat=True).distinct()))
    subscription = checkout.open_subscription(user) if user else None
    wanted = [subscription.currency] if subscription else [currency, DEFAULT_CURRENCY.get(language, "usd")]
    chosen = next((name for name in wanted if name in currencies), currencies[0] if currencies else "usd")
    intervals = [interval, subscription.interval if subscription else "", Price.Interval.MONTH]
    return Choice(chosen, next(name for name in intervals if name in Price.Interval.values), currencies)


def offers_for(user: User | None, choice: Choice, *, now: datetime) -> list[Offer]:
    """Every plan on offer, cheapest first."""
    subscription = checkout.open_subscription(user) if user else None
    current = entitlements.entitlement_of(user, now=now).plan_key if user else ""
    wanted = Price.objects.offered().filter(currency=choice.currency, interval=choice.interval)
    prices = {price.plan_id: price for price in wanted}
    may_try = user is not None and subscription is None and not trials.had_trial(user)
    return [
        _offer(plan, prices.get(plan.key), user, subscription, current, may_try=may_try)
        for plan in Plan.objects.offered()
        if plan.is_free or plan.key in prices
    ]


def features_of(plan: Plan) -> list[str]:
    """The limits in words, most telling first."""
    features = [
        ngettext("%(count)s message every %(window)s", "%(count)s messages every %(window)s", plan.messages_per_window)
        % {"count": intcomma(plan.messages_per_window), "window": duration(plan.window)},
        _("%(count)s tokens a month") % {"count": _compact(plan.tokens_per_month)},
        ngettext("%(count)s reply at a time", "%(count)s replies at a time", plan.concurrent_replies)
        % {"count": plan.concurrent_replies},
        _("Replies of up to %(count)s tokens") % {"count": intcomma(plan.max_output_tokens)},
    ]
    if settings.CHAT_SMALLER_MODEL and plan.smaller_model_messages:
        more = {"count": intcomma(plan.smaller_model_messages), "model": settings.CHAT_SMALLER_MODEL}
        features.insert(1, _("then %(count)s more with %(model)s") % more)
    if plan.queue != Plan.Queue.FREE:
        features.append(_("First in the queue") if plan.priority == 0 else _("Ahead of the free queue"))
    if plan.has_api_access:
        features.append(_("API access with your own keys"))
    if plan.is_per_seat:
        features.append(_("Seats for your team, one bill"))
    return features


def duration(length: timedelta) -> str:
    """`3 hours`, `1 day`: the largest unit that fits evenly."""
    minutes = int(length.total_seconds() // 60)
    if minutes % 1440 == 0:
        return ngettext("%(count)s day", "%(count)s days", minutes // 1440) % {"count": minutes // 1440}
    if minutes % 60 == 0:
        return ngettext("%(count)s hour", "%(count)s hours", minutes // 60) % {"count": minutes // 60}
    return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": minutes}


def _offer(
    plan: Plan,
    price: Price | None,
    user: User | None,
    subscription: Subscription | None,
    current: str,
    *,
    may_try: bool,
) -> Offer:
    # To the nearest cent, as people reckon.
    per_month = (price.unit_amount + 6) // 12 if price and price.interval == Price.Interval.YEAR else 0
    return Offer(
        plan=plan,
        price=price,
        price_text=money(price.unit_amount, price.currency) if price else "",
        monthly_text=money(per_month, price.currency) if price and per_month else "",
        features=features_of(plan),
        action=_action(plan, price, user, subscription, current),
        trial_days=plan.trial_days if price and may_try else 0,
    )


def _action(plan: Plan, price: Price | None, user: User | None, subscription: Subscription | None, current: str) -> str:
    if user is None:
        return "sign_up"
    if price is None or subscription is None:
        return "current" if plan.key == current else "buy" if price else ""
    if plan.key == subscription.plan_id and price.interval == subscription.interval:
        return "current"  # whatever its id: who pays a retired price has this plan all the same
    if subscription.cancels_at:
        return ""
    is_next = bool(subscription.next_price_id) and price.stripe_price_id == subscription.next_price_id
    return "next" if is_next else "change"


def _compact(count: int) -> str:
    """`2.5 million` in English, `250 万` in Chinese: people count in millions here and in ten thousands there."""
    if (get_language() or "").startswith("zh"):
        return f"{count // 10_000} 万" if count and count % 10_000 == 0 else intcomma(count)
    if count >= 1_000_000 and count % 100_000 == 0:
        return _("%(count)s million") % {"count": f"{count / 1_000_000:g}"}
    return intcomma(count)
