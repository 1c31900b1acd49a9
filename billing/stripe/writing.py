"""Ask Stripe to do things: only `billing.commands` calls these, with its row's key, and `find_…` before it repeats."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from billing.stripe import phases
from billing.stripe.client import Parameters, StripeRefused, api, asked, pages, untyped
from billing.stripe.facts import (
    CheckoutFacts,
    SubscriptionFacts,
    checkout_of,
    id_of,
    made_by,
    metadata_of,
    subscription_of,
)
from billing.stripe.reading import is_released


def create_customer(parameters: Parameters, *, key: str) -> str:
    return str(asked(api().customers.create)(untyped(parameters), {"idempotency_key": key}).id)


def update_customer(customer_id: str, parameters: Parameters, *, key: str) -> None:
    options: Any = {"idempotency_key": key}
    asked(api().customers.update)(customer_id, untyped(parameters), options)


def delete_customer(customer_id: str) -> None:
    """Whoever is gone already counts as deleted."""
    try:
        asked(api().customers.delete)(customer_id)
    except StripeRefused as refused:
        if not refused.is_missing:
            raise


def find_customer(*, email: str, command_id: str) -> str:
    found = pages(api().customers.list, {"email": email, "limit": 100})
    return made_by(found, command_id)


def delete_customers_of(command_id: str, *, since: int, until: int) -> None:
    """Delete what a command made, found by its id among what was made between two moments."""
    made = pages(api().customers.list, {"created": {"gte": since, "lte": until}, "limit": 100})
    for customer_id in [one.id for one in made if metadata_of(one).get("command") == command_id]:
        delete_customer(customer_id)


def create_checkout(parameters: Parameters, *, key: str) -> CheckoutFacts:
    return checkout_of(asked(api().checkout.sessions.create)(untyped(parameters), {"idempotency_key": key}))


def find_checkout(*, customer_id: str, command_id: str) -> CheckoutFacts | None:
    for session in pages(api().checkout.sessions.list, {"customer": customer_id, "limit": 100}):
        if metadata_of(session).get("command") == command_id:
            return checkout_of(session)
    return None


def expire_open_checkouts(customer_id: str, *, but_of_command: str) -> None:
    """End every other Checkout page the customer has open, so that two of them can never both be paid."""
    for session in list(pages(api().checkout.sessions.list, {"customer": customer_id, "status": "open"})):
        if not but_of_command or metadata_of(session).get("command") != but_of_command:
            with suppress(StripeRefused):  # it ended meanwhile, by another click or an event
                asked(api().checkout.sessions.expire)(session.id)


def create_portal(parameters: Parameters, *, key: str) -> str:
    """The address of a page where the customer manages cards, invoices and tax ids."""
    return str(asked(api().billing_portal.sessions.create)(untyped(parameters), {"idempotency_key": key}).url)


def update_subscription(subscription_id: str, parameters: Parameters, *, key: str) -> SubscriptionFacts:
    options: Any = {"idempotency_key": key}
    return subscription_of(asked(api().subscriptions.update)(subscription_id, untyped(parameters), options))


def cancel_subscription(subscription_id: str, parameters: Parameters, *, key: str) -> SubscriptionFacts:
    options: Any = {"idempotency_key": key}
    return subscription_of(asked(api().subscriptions.cancel)(subscription_id, untyped(parameters), options))


def schedule_price(*, subscription_id: str, price_id: str, quantity: int, key: str) -> str:
    """Let the present period run out as it is and go on with `price_id`; returns the schedule."""
    schedules = api().subscription_schedules
    # There is one already where the last change has not run out, or the answer of an attempt was lost.
    subscription = asked(api().subscriptions.retrieve)(subscription_id)
    schedule_id = id_of(subscription.schedule)
    _hand_card(subscription)
    if not schedule_id:
        schedule = asked(schedules.create)({"from_subscription": subscription_id}, {"idempotency_key": f"{key}:new"})
    else:
        schedule = asked(schedules.retrieve)(schedule_id)
    # By the discounts that are there, so that their months go on being counted and no code is redeemed again.
    reused = [{"discount": id_of(one)} for one in subscription.discounts]
    present = phases.present_of(schedule) | {"discounts": reused}
    wanted = [phases.repeated(present), phases.followed_by(present, price_id=price_id, quantity=quantity)]
    parameters = {"end_behavior": "release", "proration_behavior": "none", "phases": wanted}
    return str(asked(schedules.update)(schedule.id, untyped(parameters), {"idempotency_key": f"{key}:phases"}).id)


def hand_card_to_customer(subscription_id: str) -> None:
    """The card that pays the subscription becomes its customer's, which pays where none is named.

    Checkout gives its card to the subscription, while Stripe's page for cards changes the customer's
    (https://docs.stripe.com/api/customer_portal/sessions/create, `payment_method_update`): the new one would never pay.
    And what a schedule has of a card is set again when a phase begins, whichever was chosen by then.
    """
    _hand_card(asked(api().subscriptions.retrieve)(subscription_id))


def _hand_card(subscription: Any) -> None:
    card = id_of(subscription.default_payment_method)
    if card and subscription.status not in ("canceled", "incomplete_expired"):
        customer = {"invoice_settings": {"default_payment_method": card}}
        asked(api().customers.update)(id_of(subscription.customer), untyped(customer))
        asked(api().subscriptions.update)(subscription.id, untyped({"default_payment_method": ""}))


def release_schedule(schedule_id: str, *, key: str) -> None:
    """One whose last phase has run out let go of its subscription by itself."""
    try:
        asked(api().subscription_schedules.release)(schedule_id, {}, {"idempotency_key": key})
    except StripeRefused:
        if not is_released(schedule_id):
            raise


def create_refund(parameters: Parameters, *, key: str) -> str:
    return str(asked(api().refunds.create)(untyped(parameters), {"idempotency_key": key}).id)


def find_refund(*, payment_intent_id: str, command_id: str) -> str:
    return made_by(pages(api().refunds.list, {"payment_intent": payment_intent_id, "limit": 100}), command_id)
