"""From the plans page to a paid plan: Stripe's hosted Checkout, the way back from it, and the portal."""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Min
from django.urls import reverse

from accounts.models import User
from billing import catalogue, commands, doubles, mirror, stripe, trials, turns
from billing.models import Customer, Price, Subscription

MAX_SEATS = 500
# The names that Stripe's pages have for our languages, and those that its letters and bills have.
STRIPE_LOCALES = {"en": "en", "zh-hans": "zh"}
CUSTOMER_LOCALES = {"en": "en", "zh-hans": "zh-CN"}


class CannotCheckOut(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """`code` is `subscribed` (change the plan instead), `refused`, `currency` or `busy` (a page is being opened)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def start(*, user: User, price: Price, quantity: int, wish_id: uuid.UUID, language: str, now: datetime) -> str:
    """The address of the hosted page where the person pays for `price`.

    `wish_id` names the click: sending it twice opens one page. Raises `CannotCheckOut` and `stripe.StripeUnavailable`.
    """
    customer = ensure_customer(user, language=language, now=now)
    key = f"checkout:{user.pk}:{wish_id}"
    try:
        # Each closes the page before it.
        with turns.newest(f"checkout:{customer.stripe_id}"):
            _check_has_none(user, customer, price, but_of_command=commands.id_of(key), now=now)
            session = _session(user, customer, catalogue.ensure_at_stripe(price), quantity, language)
            made = commands.run(kind="create_checkout", key=key, user=user, parameters={"session": session}, now=now)
    except turns.NotYourTurn as problem:
        raise CannotCheckOut("busy") from problem
    except commands.CommandRefused as refused:
        raise CannotCheckOut("refused") from refused
    return str(made["url"])


def _check_has_none(user: User, customer: Customer, price: Price, *, but_of_command: str, now: datetime) -> None:
    """Raise `CannotCheckOut` for who has a plan; close the pages on which they could buy one."""
    if open_subscription(user) is not None:
        raise CannotCheckOut("subscribed")
    if customer.currency and customer.currency != price.currency and customer.subscriptions.exists():
        raise CannotCheckOut("currency")
    stripe.expire_open_checkouts(customer.stripe_id, but_of_command=but_of_command)
    _check_nothing_was_bought(customer, now)


def _check_nothing_was_bought(customer: Customer, now: datetime) -> None:
    """Raise `CannotCheckOut` where the person has paid on a page of which we have not heard yet, and have the plan."""
    for facts in stripe.subscriptions(customer.stripe_id):
        if facts.status in Subscription.OPEN:
            mirror.refresh_subscription(facts.id, cause="another payment page was asked for", now=now)
            raise CannotCheckOut("subscribed")


def complete(*, user: User, session_id: str, now: datetime) -> Subscription | None:
    """What the person bought, fetched at once, so that they see it even when no webhook ever comes.

    None when the page is not theirs, or nothing was paid on it yet. Raises `stripe.StripeUnavailable`.
    """
    try:
        session = stripe.retrieve_checkout(session_id)
        if session.user_id != str(user.pk) or not session.subscription_id:
            return None
        return bought(session, cause="return from Checkout", now=now)
    except stripe.StripeRefused:
        return None


def bought(session: stripe.CheckoutFacts, *, cause: str, now: datetime) -> Subscription | None:
    """Save what was bought on a page that was paid; while it lasts, another page that is open can be paid no more, and
    staff are told of another subscription that its customer has.

    What is heard late, of a subscription that has ended, must not close the page on which the person buys anew.
    """
    subscription = mirror.refresh_subscription(session.subscription_id, cause=cause, now=now)
    if subscription is not None and subscription.is_trial_refused:
        subscription = _end_refused_trial(subscription, now)
    if subscription is not None and session.customer_id and subscription.status in Subscription.OPEN:
        stripe.expire_open_checkouts(session.customer_id, but_of_command="")
        _look_for_another(subscription, cause, now)
    return subscription


def _look_for_another(subscription: Subscription, cause: str, now: datetime) -> None:
    known = set(subscription.customer.subscriptions.open().values_list("pk", flat=True))
    for facts in stripe.subscriptions(subscription.customer.stripe_id):
        if facts.status in Subscription.OPEN and facts.id not in known:
            mirror.refresh_subscription(facts.id, cause=cause, now=now)
    doubles.too_many(subscription.customer)


def _end_refused_trial(subscription: Subscription, now: datetime) -> Subscription:
    """At once rather than by the clock, so that the person can buy without a trial; else it gives nothing meanwhile."""
    with suppress(stripe.StripeUnavailable):
        commands.try_again(trials.end_refused(subscription, now=now), now)
    subscription.refresh_from_db()
    return subscription


def portal(*, user: User, wish_id: uuid.UUID, flow: str, now: datetime, language: str = "") -> str:
    """The address of the hosted page for cards, tax ids and invoices; `flow` may be `payment_method_update`.

    The card that is chosen there pays what the person has: it is the customer's, and no subscription keeps its own.
    """
    customer = ensure_customer(user, language=language, now=now)
    for subscription in customer.subscriptions.open():
        with suppress(commands.CommandRefused):  # Stripe does not have it any more: there is still a page to open
            commands.run(
                kind="hand_card_to_customer",
                key=f"card:{subscription.pk}:{wish_id}",
                user=user,
                parameters={"pays_for": subscription.pk},
                now=now,
            )
    session: dict[str, Any] = {
        "customer": customer.stripe_id,
        "return_url": settings.SITE_URL + reverse("plans"),
        "locale": STRIPE_LOCALES.get(language, "auto"),
    }
    if flow:
        session["flow_data"] = {"type": flow}
    made = commands.run(
        kind="create_portal", key=f"portal:{user.pk}:{wish_id}", user=user, parameters={"session": session}, now=now
    )
    return str(made["url"])


def ensure_customer(user: User, *, now: datetime, language: str = "") -> Customer:
    """The person's customer at Stripe, made when they have none. Raises `stripe.StripeUnavailable`.

    Stripe writes its letters and bills in the `language` from then on.
    """
    locale = CUSTOMER_LOCALES.get(language or user.language, "")
    known = Customer.objects.filter(user=user, is_deleted=False).first()
    if known:
        if locale not in ("", known.locale):
            commands.set_locale(known, locale, now=now)
        return known
    # One more for each that was deleted at Stripe: its key would only give the deleted one again.
    made_before = commands.made_for(user, kind="create_customer")
    generation = Customer.objects.filter(stripe_id__in=made_before, is_deleted=True).count()
    made = commands.run(
        kind="create_customer",
        key=f"customer:{user.pk}:{generation}",
        user=user,
        parameters={"user": str(user.pk), "email": user.email, "name": user.name, "locale": locale},
        now=now,
    )
    with transaction.atomic():
        earlier = Customer.objects.filter(user=user, is_deleted=True)
        trial_used_at = earlier.aggregate(first=Min("trial_used_at"))["first"]
        earlier.update(user=None)
        defaults = {"user": user, "trial_used_at": trial_used_at, "locale": locale}
        customer, _is_new = Customer.objects.get_or_create(stripe_id=made["id"], defaults=defaults)
    return customer


def tell_languages(*, now: datetime) -> int:
    """Have Stripe write to those who pay in the language that they have chosen here; returns how many changed it."""
    payers = Customer.objects.filter(is_deleted=False, subscriptions__in=Subscription.objects.open())
    told = 0
    for customer in payers.exclude(user__language="").select_related("user").distinct():
        locale = CUSTOMER_LOCALES.get(customer.user.language, "") if customer.user else ""
        if locale not in ("", customer.locale):
            commands.set_locale(customer, locale, now=now)
            told += 1
    return told


def open_subscription(user: User) -> Subscription | None:
    """The subscription that the person pays for now, if any; the best of several."""
    mine = Subscription.objects.open().filter(customer__user=user, customer__is_deleted=False)
    best_first = mine.order_by(F("plan__position").desc(nulls_last=True), "-started_at")
    return best_first.select_related("plan", "customer").first()


def may_try(user: User, price: Price) -> bool:
    """A trial is given once in a person's life here."""
    return price.plan.trial_days > 0 and not trials.had_trial(user)


def _session(user: User, customer: Customer, price: Price, quantity: int, language: str) -> dict[str, Any]:
    subscription: dict[str, Any] = {"metadata": {"user": str(user.pk)}}
    if may_try(user, price):
        subscription["trial_period_days"] = price.plan.trial_days
        subscription["trial_settings"] = {"end_behavior": {"missing_payment_method": "cancel"}}
    return {
        "mode": "subscription",
        "customer": customer.stripe_id,
        "client_reference_id": str(user.pk),
        "line_items": [{"price": price.stripe_price_id, "quantity": quantity if price.plan.is_per_seat else 1}],
        "success_url": settings.SITE_URL + reverse("checkout-return") + "?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": settings.SITE_URL + reverse("plans"),
        "allow_promotion_codes": True,
        "tax_id_collection": {"enabled": True},
        "customer_update": {"name": "auto", "address": "auto"},
        "locale": STRIPE_LOCALES.get(language, "auto"),
        "subscription_data": subscription,
    }
