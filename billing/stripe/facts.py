"""What we know of Stripe's objects, and how to read it out of the SDK's. Times are aware, amounts in minor units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    id: str
    is_deleted: bool
    user_id: str
    currency: str
    locale: str = ""
    """Of the letters and bills that Stripe writes to them."""


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """A subscription with one item, which is all that this service sells. Times are aware, amounts in minor units."""

    id: str
    customer_id: str
    status: str
    item_id: str
    price_id: str
    product_id: str
    interval: str
    currency: str
    unit_amount: int
    quantity: int
    started_at: datetime
    period_start: datetime | None
    period_end: datetime | None
    trial_end: datetime | None
    cancels_at: datetime | None
    ended_at: datetime | None
    schedule_id: str
    latest_invoice_id: str
    payment_method_id: str = ""
    # Whether it began with a trial on our payment page; staff may give free time at Stripe, too.
    began_with_trial: bool = False


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    id: str
    customer_id: str
    subscription_id: str
    number: str
    status: str
    billing_reason: str
    currency: str
    total: int
    amount_due: int
    amount_paid: int
    attempt_count: int
    next_attempt_at: datetime | None
    created_at: datetime
    period_end: datetime | None
    page_url: str
    pdf_url: str


@dataclass(frozen=True, slots=True)
class ChargeFacts:
    id: str
    customer_id: str
    payment_intent_id: str
    amount: int
    amount_refunded: int
    was_disputed: bool
    """At any time, however that ended."""


@dataclass(frozen=True, slots=True)
class RefundFacts:
    id: str
    amount: int
    is_failed: bool
    """The money never left, or came back: from the bank, or because somebody stopped it in time."""
    failure_reason: str


@dataclass(frozen=True, slots=True)
class CheckoutFacts:
    id: str
    url: str
    status: str
    user_id: str
    customer_id: str
    subscription_id: str


@dataclass(frozen=True, slots=True)
class EventFacts:
    """That something happened to an object. What it is now is asked for afresh."""

    id: str
    type: str
    object_type: str
    object_id: str
    api_version: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class PreviewFacts:
    """What a change would cost now, to the cent; `lines` are (text, amount), `discount` is what comes off them."""

    amount_due: int
    total: int
    currency: str
    lines: tuple[tuple[str, int], ...]
    discount: int


def id_of(value: Any) -> str:
    """The id of a field that is an id, an expanded object or nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value.id)


def time_of(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, tz=UTC) if seconds else None


def moment_of(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def metadata_of(made: Any) -> dict[str, str]:
    return made.metadata.to_dict() if getattr(made, "metadata", None) else {}


def made_by(found: Iterator[Any], command_id: str) -> str:
    return next((str(made.id) for made in found if metadata_of(made).get("command") == command_id), "")


def customer_of(customer: Any) -> CustomerFacts:
    return CustomerFacts(
        id=customer.id,
        is_deleted=bool(getattr(customer, "deleted", False)),
        user_id=metadata_of(customer).get("user", ""),
        currency=getattr(customer, "currency", None) or "",
        locale=next(iter(getattr(customer, "preferred_locales", None) or []), ""),
    )


def subscription_of(subscription: Any) -> SubscriptionFacts:
    item = subscription["items"].data[0]
    return SubscriptionFacts(
        id=subscription.id,
        customer_id=id_of(subscription.customer),
        status=subscription.status,
        item_id=item.id,
        price_id=item.price.id,
        product_id=id_of(item.price.product),
        interval=item.price.recurring.interval,
        currency=item.price.currency,
        unit_amount=item.price.unit_amount or 0,
        quantity=item.quantity or 1,
        started_at=moment_of(subscription.start_date),
        period_start=time_of(item.current_period_start),
        period_end=time_of(item.current_period_end),
        trial_end=time_of(subscription.trial_end),
        cancels_at=time_of(subscription.cancel_at)
        or (time_of(item.current_period_end) if subscription.cancel_at_period_end else None),
        ended_at=time_of(subscription.ended_at),
        schedule_id=id_of(subscription.schedule),
        latest_invoice_id=id_of(subscription.latest_invoice),
        payment_method_id=id_of(getattr(subscription, "default_payment_method", None)),
        began_with_trial="user" in metadata_of(subscription) and subscription.trial_start == subscription.start_date,
    )


def invoice_of(invoice: Any) -> InvoiceFacts:
    parent = invoice.parent
    details = parent.subscription_details if parent else None
    ends = [line.period.end for line in invoice.lines.data]
    return InvoiceFacts(
        id=invoice.id,
        customer_id=id_of(invoice.customer),
        subscription_id=id_of(details.subscription) if details else "",
        number=invoice.number or "",
        status=invoice.status or "draft",
        billing_reason=invoice.billing_reason or "",
        currency=invoice.currency,
        total=invoice.total,
        amount_due=invoice.amount_due,
        amount_paid=invoice.amount_paid,
        attempt_count=invoice.attempt_count,
        next_attempt_at=time_of(invoice.next_payment_attempt),
        created_at=moment_of(invoice.created),
        period_end=time_of(max(ends, default=None)),
        page_url=invoice.hosted_invoice_url or "",
        pdf_url=invoice.invoice_pdf or "",
    )


def charge_of(charge: Any) -> ChargeFacts:
    return ChargeFacts(
        id=charge.id,
        customer_id=id_of(charge.customer),
        payment_intent_id=id_of(charge.payment_intent),
        amount=charge.amount,
        amount_refunded=charge.amount_refunded,
        was_disputed=bool(charge.disputed),
    )


def refund_of(refund: Any) -> RefundFacts:
    return RefundFacts(
        id=refund.id,
        amount=refund.amount,
        is_failed=refund.status in ("failed", "canceled"),
        failure_reason=getattr(refund, "failure_reason", None) or "unknown",
    )


def checkout_of(session: Any) -> CheckoutFacts:
    return CheckoutFacts(
        id=session.id,
        url=session.url or "",
        status=session.status or "",
        user_id=session.client_reference_id or "",
        customer_id=id_of(session.customer),
        subscription_id=id_of(session.subscription),
    )
