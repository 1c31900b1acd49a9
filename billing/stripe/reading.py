"""Ask Stripe what is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from billing.stripe import phases
from billing.stripe.client import Parameters, api, asked, pages
from billing.stripe.facts import (
    ChargeFacts,
    CheckoutFacts,
    CustomerFacts,
    EventFacts,
    InvoiceFacts,
    PreviewFacts,
    RefundFacts,
    SubscriptionFacts,
    charge_of,
    checkout_of,
    customer_of,
    id_of,
    invoice_of,
    moment_of,
    refund_of,
    subscription_of,
)


def retrieve_customer(customer_id: str) -> CustomerFacts:
    return customer_of(asked(api().customers.retrieve)(customer_id))


def retrieve_subscription(subscription_id: str) -> SubscriptionFacts:
    return subscription_of(asked(api().subscriptions.retrieve)(subscription_id))


def fingerprint_of(subscription: SubscriptionFacts) -> str | None:
    """What is the same for every customer who pays with the same card or account; empty where the kind of payment has
    no such thing, and None where there is nothing to pay with yet."""
    method_id = subscription.payment_method_id
    if not method_id:
        customer = asked(api().customers.retrieve)(subscription.customer_id)
        method_id = id_of(getattr(customer.invoice_settings, "default_payment_method", None))
    if not method_id:
        return None
    method = asked(api().payment_methods.retrieve)(method_id)
    return getattr(getattr(method, method.type, None), "fingerprint", None) or ""


def retrieve_invoice(invoice_id: str) -> InvoiceFacts:
    return invoice_of(asked(api().invoices.retrieve)(invoice_id))


def retrieve_charge(charge_id: str) -> ChargeFacts:
    return charge_of(asked(api().charges.retrieve)(charge_id))


def retrieve_checkout(session_id: str) -> CheckoutFacts:
    return checkout_of(asked(api().checkout.sessions.retrieve)(session_id))


def charge_of_dispute(dispute_id: str) -> str:
    return id_of(asked(api().disputes.retrieve)(dispute_id).charge)


def charge_of_refund(refund_id: str) -> str:
    return id_of(asked(api().refunds.retrieve)(refund_id).charge)


def subscription_of_schedule(schedule_id: str) -> str:
    return id_of(asked(api().subscription_schedules.retrieve)(schedule_id).subscription)


def is_released(schedule_id: str) -> bool:
    """Whether the schedule has let go of its subscription."""
    return asked(api().subscription_schedules.retrieve)(schedule_id).status in ("released", "completed")


def next_price_of_schedule(schedule_id: str, *, now: datetime) -> str:
    """The price of the phase that follows the present one; empty when nothing follows."""
    schedule = asked(api().subscription_schedules.retrieve)(schedule_id)
    if schedule.status not in ("active", "not_started"):
        return ""
    following = [phase for phase in schedule.phases if phase.start_date > now.timestamp()]
    return id_of(following[0]["items"][0].price) if following else ""


def is_scheduled(subscription_id: str, *, price_id: str, quantity: int) -> bool:
    """Whether the subscription goes on with that after its present phase."""
    schedule_id = id_of(asked(api().subscriptions.retrieve)(subscription_id).schedule)
    if not schedule_id:
        return False
    schedule = asked(api().subscription_schedules.retrieve)(schedule_id)
    ends = phases.present_of(schedule)["end_date"]
    following = [phase["items"][0] for phase in schedule.phases if phase.start_date == ends]
    return any((id_of(item.price), item.quantity) == (price_id, quantity) for item in following)


def invoice_of_payment(payment_intent_id: str) -> str:
    """The invoice that the payment paid; empty when it paid none."""
    if not payment_intent_id:
        return ""
    wanted: Any = {"payment": {"type": "payment_intent", "payment_intent": payment_intent_id}}
    payments = asked(api().invoice_payments.list)(wanted).data
    return id_of(payments[0].invoice) if payments else ""


def payment_of_invoice(invoice_id: str) -> str:
    """The payment intent that paid the invoice; empty when none did."""
    payments = asked(api().invoice_payments.list)({"invoice": invoice_id, "status": "paid"}).data
    return id_of(payments[0].payment.payment_intent) if payments else ""


def charges_of_payment(payment_intent_id: str) -> list[ChargeFacts]:
    return [charge_of(charge) for charge in asked(api().charges.list)({"payment_intent": payment_intent_id}).data]


def refunds_of_payment(payment_intent_id: str) -> list[RefundFacts]:
    """Newest first, those that failed too."""
    return list(map(refund_of, pages(api().refunds.list, {"payment_intent": payment_intent_id, "limit": 100})))


# The bank asks, has let go, or has decided for us: the money is here.
_HARMLESS_DISPUTES = {"warning_needs_response", "warning_under_review", "warning_closed", "won", "prevented"}


def is_contested(payment_intent_id: str) -> bool:
    """Whether a bank holds the money of the payment, or has given it back to the payer for good."""
    disputes = pages(api().disputes.list, {"payment_intent": payment_intent_id, "limit": 100})
    return any(dispute.status not in _HARMLESS_DISPUTES for dispute in disputes)


def payments_given_back(*, created_since: datetime) -> set[str]:
    """The payments of which money went back or was contested since then."""
    wanted = {"limit": 100, "created": {"gte": int(created_since.timestamp())}}
    found = [*pages(api().refunds.list, wanted), *pages(api().disputes.list, wanted)]
    return {id_of(one.payment_intent) for one in found if one.payment_intent}


def customers() -> Iterator[CustomerFacts]:
    """Every customer that was not deleted."""
    return map(customer_of, pages(api().customers.list, {"limit": 100}))


def subscriptions(customer_id: str = "") -> Iterator[SubscriptionFacts]:
    """Every subscription, ended ones too, of one customer or of all."""
    wanted: Any = {"status": "all", "limit": 100} | ({"customer": customer_id} if customer_id else {})
    return map(subscription_of, pages(api().subscriptions.list, wanted))


def invoices(*, created_since: datetime) -> Iterator[InvoiceFacts]:
    wanted = {"limit": 100, "created": {"gte": int(created_since.timestamp())}}
    return map(invoice_of, pages(api().invoices.list, wanted))


def events(*, created_since: datetime) -> Iterator[EventFacts]:
    """Every event since then, newest first."""
    wanted = {"limit": 100, "created": {"gte": int(created_since.timestamp())}}
    for event in pages(api().events.list, wanted):
        subject = event.data.object
        yield EventFacts(
            id=event.id,
            type=event.type,
            object_type=subject["object"],
            object_id=getattr(subject, "id", "") or "",
            api_version=event.api_version or "",
            occurred_at=moment_of(event.created),
        )


def moment_of_change(at: datetime, *, ends_trial: bool) -> Parameters:
    """From when a change counts: from `at`, or from now when it ends a trial, whose rest is worth nothing."""
    return {"trial_end": "now"} if ends_trial else {"proration_date": int(at.timestamp())}


def preview_change(
    *, subscription_id: str, item_id: str, price_id: str, quantity: int, at: datetime, ends_trial: bool
) -> PreviewFacts:
    """What switching to `price_id` at `at` would be billed, at once."""
    invoice = asked(api().invoices.create_preview)(
        {
            "subscription": subscription_id,
            "subscription_details": {
                "items": [{"id": item_id, "price": price_id, "quantity": quantity}],
                "proration_behavior": "always_invoice",
                **moment_of_change(at, ends_trial=ends_trial),
            },
        }
    )
    lines = tuple((line.description or "", line.amount) for line in invoice.lines.data)
    discount = sum(one.amount for one in invoice.total_discount_amounts or [])
    return PreviewFacts(invoice.amount_due, invoice.total, invoice.currency, lines, discount)
