"""The kinds of commands: how each is asked of Stripe, and how what an unheard attempt made is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing import entitlements, mirror, stripe
from billing.models import Subscription

Values = dict[str, Any]
DELETION, UNHEARD, REFUND = "delete_customer", "delete_unheard_customer", "create_refund"


@dataclass(frozen=True, slots=True)
class Operation:
    """How to do a kind of command, how to find what an earlier attempt made (None: repeating it is harmless), and what
    else has to come true before it is done, which may be repeated."""

    perform: Callable[[Values, str], Values]
    find: Callable[[Values, str], Values | None] | None = None
    then: Callable[[Values, str, datetime], None] | None = None


def _create_customer(values: Values, key: str) -> Values:
    metadata = {"user": values["user"], "command": values["command"]}
    wanted = {"email": values["email"], "name": values["name"], "metadata": metadata}
    if locale := values.get("locale"):
        wanted["preferred_locales"] = [locale]
    return {"id": stripe.create_customer(wanted, key=key)}


def _find_customer(values: Values, command_id: str) -> Values | None:
    found = stripe.find_customer(email=values["email"], command_id=command_id)
    return {"id": found} if found else None


def _update_customer(values: Values, key: str) -> Values:
    stripe.update_customer(values["customer"], values["change"], key=key)
    return {"id": values["customer"]}


def _create_checkout(values: Values, key: str) -> Values:
    metadata = {"command": values["command"]}
    session = stripe.create_checkout(values["session"] | {"metadata": metadata}, key=key)
    return {"id": session.id, "url": session.url}


def _find_checkout(values: Values, command_id: str) -> Values | None:
    session = stripe.find_checkout(customer_id=values["session"]["customer"], command_id=command_id)
    return {"id": session.id, "url": session.url} if session else None


def _hand_card_to_customer(values: Values, _key: str) -> Values:
    """Of `pays_for`: it is no wish about the `subscription`, which would take the place of one that waits."""
    stripe.hand_card_to_customer(values["pays_for"])
    return {"id": values["pays_for"]}


def _create_portal(values: Values, key: str) -> Values:
    return {"url": stripe.create_portal(values["session"], key=key)}


def _update_subscription(values: Values, key: str) -> Values:
    return {"id": stripe.update_subscription(values["subscription"], values["change"], key=key).id}


def _find_updated(values: Values, _command_id: str) -> Values | None:
    """Stripe forgets keys after a day, and would bill an upgrade as often as it is asked for."""
    facts, change = stripe.retrieve_subscription(values["subscription"]), values["change"]
    if "items" in change:
        (item,) = change["items"]
        is_there = (facts.price_id, facts.quantity) == (item["price"], item["quantity"])
    else:
        is_there = (facts.cancels_at is not None) == change["cancel_at_period_end"]
    return {"id": facts.id} if is_there else None


def _cancel_subscription(values: Values, key: str) -> Values:
    return {"id": stripe.cancel_subscription(values["subscription"], values["options"], key=key).id}


def _find_cancelled(values: Values, _command_id: str) -> Values | None:
    """Stripe keeps no keys of cancellations, and refuses to end twice."""
    is_ended = stripe.retrieve_subscription(values["subscription"]).status == "canceled"
    return {"id": values["subscription"]} if is_ended else None


def _schedule_price(values: Values, key: str) -> Values:
    made = stripe.schedule_price(
        subscription_id=values["subscription"],
        price_id=values["price"],
        quantity=values["quantity"],
        key=key,
    )
    return {"id": made}


def _find_scheduled(values: Values, _command_id: str) -> Values | None:
    is_there = stripe.is_scheduled(values["subscription"], price_id=values["price"], quantity=values["quantity"])
    return {"id": values["subscription"]} if is_there else None


def _release_schedule(values: Values, key: str) -> Values:
    stripe.release_schedule(values["schedule"], key=key)
    return {"id": values["schedule"]}


def _find_released(values: Values, _command_id: str) -> Values | None:
    return {"id": values["schedule"]} if stripe.is_released(values["schedule"]) else None


def _create_refund(values: Values, key: str) -> Values:
    parameters = {
        "payment_intent": values["payment_intent"],
        "reason": "requested_by_customer",
        "metadata": {"command": values["command"], "why": values["why"]},
    }
    return {"id": stripe.create_refund(parameters, key=key)}


def _find_refund(values: Values, command_id: str) -> Values | None:
    found = stripe.find_refund(payment_intent_id=values["payment_intent"], command_id=command_id)
    return {"id": found} if found else None


def _end_what_was_refunded(values: Values, key: str, now: datetime) -> None:
    """What the money had paid for is not billed again, where that is the present period."""
    cause = f"refund: {values['why']}"[:200]
    invoice = mirror.refresh_money(values["payment_intent"], cause=cause, now=now)
    if invoice is None or not invoice.subscription_id:
        return
    subscription = mirror.refresh_subscription(invoice.subscription_id, cause=cause, now=now)
    if subscription is None or subscription.status not in Subscription.OPEN:
        return
    if not entitlements.money_was_given_back(subscription):
        return
    options = {"prorate": False, "invoice_now": False}
    stripe.cancel_subscription(subscription.stripe_id, options, key=f"{key}:end")
    mirror.refresh_subscription(subscription.stripe_id, cause=cause, now=now)
    mirror.refresh_invoice(subscription.latest_invoice_id, cause=cause, now=now)


def _delete_customer(values: Values, _key: str) -> Values:
    """Ends the subscriptions too."""
    stripe.delete_customer(values["customer"])
    return {"id": values["customer"]}


def _delete_unheard_customer(values: Values, _key: str) -> Values:
    stripe.delete_customers_of(values["made_by"], since=int(values["since"]), until=int(values["until"]))
    return {}


OPERATIONS = {
    "create_customer": Operation(_create_customer, _find_customer),
    "update_customer": Operation(_update_customer),
    "create_checkout": Operation(_create_checkout, _find_checkout),
    "hand_card_to_customer": Operation(_hand_card_to_customer),
    "create_portal": Operation(_create_portal),
    "update_subscription": Operation(_update_subscription, _find_updated),
    "cancel_subscription": Operation(_cancel_subscription, _find_cancelled),
    "schedule_price": Operation(_schedule_price, _find_scheduled),
    "release_schedule": Operation(_release_schedule, _find_released),
    DELETION: Operation(_delete_customer),
    UNHEARD: Operation(_delete_unheard_customer),
    REFUND: Operation(_create_refund, _find_refund, _end_what_was_refunded),
}
