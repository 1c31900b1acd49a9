"""The only module that speaks to Stripe. It answers in the small dataclasses below, never in the SDK's objects.

The API version is pinned here and nowhere else; `billing.checks` fails when the SDK's own version moves past it.
`STRIPE_API_BASE` points all of it at another server that speaks the same protocol, such as the simulated Stripe.
Every call can raise `StripeUnavailable` (try again later) or `StripeRefused` (trying again will not help).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar

import stripe
from django.conf import settings

API_VERSION = "2026-10-28.endive"
SDK_API_VERSION = stripe.api_version or ""
TIMEOUT_SECONDS = 15
SIGNATURE_TOLERANCE_SECONDS = 300

Parameters = dict[str, Any]
P = ParamSpec("P")
T = TypeVar("T")


class StripeUnavailable(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """Stripe cannot be reached, or says that trying again later is right."""

    def __init__(self, text: str, *, is_server_error: bool = False) -> None:
        super().__init__(text)
        self.is_server_error = is_server_error


class StripeRefused(Exception):  # noqa: N818
    """Stripe understood and says no. `code` is Stripe's own; `str()` is for staff, not for customers."""

    def __init__(self, text: str, *, code: str) -> None:
        super().__init__(text)
        self.code = code

    @property
    def is_missing(self) -> bool:
        return self.code == "resource_missing"


class BadSignature(ValueError):  # noqa: N818
    """The body did not come from Stripe, or not just now."""


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    id: str
    is_deleted: bool
    user_id: str
    currency: str


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
    is_disputed: bool


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
    """What a change would cost now, to the cent; `lines` are (text, amount)."""

    amount_due: int
    total: int
    currency: str
    lines: tuple[tuple[str, int], ...]


def is_configured() -> bool:
    return bool(settings.STRIPE_API_KEY)


def retrieve_customer(customer_id: str) -> CustomerFacts:
    return _customer(_asked(_api().customers.retrieve)(customer_id))


def retrieve_subscription(subscription_id: str) -> SubscriptionFacts:
    return _subscription(_asked(_api().subscriptions.retrieve)(subscription_id))


def retrieve_invoice(invoice_id: str) -> InvoiceFacts:
    return _invoice(_asked(_api().invoices.retrieve)(invoice_id))


def retrieve_charge(charge_id: str) -> ChargeFacts:
    return _charge(_asked(_api().charges.retrieve)(charge_id))


def retrieve_checkout(session_id: str) -> CheckoutFacts:
    return _checkout(_asked(_api().checkout.sessions.retrieve)(session_id))


def charge_of_dispute(dispute_id: str) -> str:
    return _id(_asked(_api().disputes.retrieve)(dispute_id).charge)


def charge_of_refund(refund_id: str) -> str:
    return _id(_asked(_api().refunds.retrieve)(refund_id).charge)


def subscription_of_schedule(schedule_id: str) -> str:
    return _id(_asked(_api().subscription_schedules.retrieve)(schedule_id).subscription)


def next_price_of_schedule(schedule_id: str, *, now: datetime) -> str:
    """The price of the phase that follows the present one; empty when nothing follows."""
    schedule = _asked(_api().subscription_schedules.retrieve)(schedule_id)
    if schedule.status not in ("active", "not_started"):
        return ""
    following = [phase for phase in schedule.phases if phase.start_date > now.timestamp()]
    return _id(following[0]["items"][0].price) if following else ""


def invoice_of_payment(payment_intent_id: str) -> str:
    """The invoice that the payment paid; empty when it paid none."""
    if not payment_intent_id:
        return ""
    wanted: Any = {"payment": {"type": "payment_intent", "payment_intent": payment_intent_id}}
    payments = _asked(_api().invoice_payments.list)(wanted).data
    return _id(payments[0].invoice) if payments else ""


def payment_of_invoice(invoice_id: str) -> str:
    """The payment intent that paid the invoice; empty when none did."""
    payments = _asked(_api().invoice_payments.list)({"invoice": invoice_id, "status": "paid"}).data
    return _id(payments[0].payment.payment_intent) if payments else ""


def charges_of_payment(payment_intent_id: str) -> list[ChargeFacts]:
    return [_charge(charge) for charge in _asked(_api().charges.list)({"payment_intent": payment_intent_id}).data]


def subscriptions(customer_id: str = "") -> Iterator[SubscriptionFacts]:
    """Every subscription, ended ones too, of one customer or of all."""
    wanted: Any = {"status": "all", "limit": 100} | ({"customer": customer_id} if customer_id else {})
    return map(_subscription, _pages(_api().subscriptions.list, wanted))


def invoices(*, created_since: datetime) -> Iterator[InvoiceFacts]:
    wanted = {"limit": 100, "created": {"gte": int(created_since.timestamp())}}
    return map(_invoice, _pages(_api().invoices.list, wanted))


def events(*, created_since: datetime) -> Iterator[EventFacts]:
    """Every event since then, newest first."""
    wanted = {"limit": 100, "created": {"gte": int(created_since.timestamp())}}
    for event in _pages(_api().events.list, wanted):
        subject = event.data.object
        yield EventFacts(
            id=event.id,
            type=event.type,
            object_type=subject["object"],
            object_id=getattr(subject, "id", "") or "",
            api_version=event.api_version or "",
            occurred_at=_moment(event.created),
        )


def preview_change(*, subscription_id: str, item_id: str, price_id: str, quantity: int, at: datetime) -> PreviewFacts:
    """What switching to `price_id` at `at` would be billed, at once."""
    invoice = _asked(_api().invoices.create_preview)(
        {
            "subscription": subscription_id,
            "subscription_details": {
                "items": [{"id": item_id, "price": price_id, "quantity": quantity}],
                "proration_behavior": "always_invoice",
                "proration_date": int(at.timestamp()),
            },
        }
    )
    lines = tuple((line.description or "", line.amount) for line in invoice.lines.data)
    return PreviewFacts(invoice.amount_due, invoice.total, invoice.currency, lines)


# Writing: only `billing.commands` calls these, with the key of its row. ---------------------------------------------


def create_customer(parameters: Parameters, *, key: str) -> str:
    return str(_asked(_api().customers.create)(_any(parameters), {"idempotency_key": key}).id)


def delete_customer(customer_id: str) -> None:
    _asked(_api().customers.delete)(customer_id)


def find_customer(*, email: str, command_id: str) -> str:
    found = _pages(_api().customers.list, {"email": email, "limit": 100})
    return _made_by(found, command_id)


def create_checkout(parameters: Parameters, *, key: str) -> CheckoutFacts:
    return _checkout(_asked(_api().checkout.sessions.create)(_any(parameters), {"idempotency_key": key}))


def find_checkout(*, customer_id: str, command_id: str) -> CheckoutFacts | None:
    for session in _pages(_api().checkout.sessions.list, {"customer": customer_id, "limit": 100}):
        if _metadata(session).get("command") == command_id:
            return _checkout(session)
    return None


def expire_open_checkouts(customer_id: str) -> None:
    """End every Checkout page the customer has open, so that two of them can never both be paid."""
    for session in list(_pages(_api().checkout.sessions.list, {"customer": customer_id, "status": "open"})):
        _asked(_api().checkout.sessions.expire)(session.id)


def create_portal(parameters: Parameters, *, key: str) -> str:
    """The address of a page where the customer manages cards, invoices and tax ids."""
    return str(_asked(_api().billing_portal.sessions.create)(_any(parameters), {"idempotency_key": key}).url)


def update_subscription(subscription_id: str, parameters: Parameters, *, key: str) -> SubscriptionFacts:
    options: Any = {"idempotency_key": key}
    return _subscription(_asked(_api().subscriptions.update)(subscription_id, _any(parameters), options))


def cancel_subscription(subscription_id: str, parameters: Parameters, *, key: str) -> SubscriptionFacts:
    options: Any = {"idempotency_key": key}
    return _subscription(_asked(_api().subscriptions.cancel)(subscription_id, _any(parameters), options))


def schedule_price(*, subscription_id: str, schedule_id: str, price_id: str, quantity: int, key: str) -> str:
    """Let the present period run out at its price and go on with `price_id`; returns the schedule."""
    schedules = _api().subscription_schedules
    if not schedule_id:
        schedule = _asked(schedules.create)({"from_subscription": subscription_id}, {"idempotency_key": f"{key}:new"})
    else:
        schedule = _asked(schedules.retrieve)(schedule_id)
    now = schedule.phases[0]
    present = {
        "items": [{"price": _id(item.price), "quantity": item.quantity} for item in now["items"]],
        "start_date": now.start_date,
        "end_date": now.end_date,
    }
    following = {"items": [{"price": price_id, "quantity": quantity}], "proration_behavior": "none"}
    parameters = {"end_behavior": "release", "phases": [present, following]}
    return str(_asked(schedules.update)(schedule.id, _any(parameters), {"idempotency_key": f"{key}:phases"}).id)


def release_schedule(schedule_id: str, *, key: str) -> None:
    _asked(_api().subscription_schedules.release)(schedule_id, {}, {"idempotency_key": key})


def create_refund(parameters: Parameters, *, key: str) -> str:
    return str(_asked(_api().refunds.create)(_any(parameters), {"idempotency_key": key}).id)


def find_refund(*, payment_intent_id: str, command_id: str) -> str:
    return _made_by(_pages(_api().refunds.list, {"payment_intent": payment_intent_id, "limit": 100}), command_id)


# The catalogue ------------------------------------------------------------------------------------------------------


def save_product(*, product_id: str, name: str, metadata: dict[str, str], key: str) -> str:
    """The product of a plan, created when `product_id` is empty or gone."""
    products = _api().products
    values: Any = {"name": name, "metadata": metadata, "active": True}
    if product_id:
        try:
            return str(_asked(products.update)(product_id, values, {"idempotency_key": key}).id)
        except StripeRefused as refused:
            if not refused.is_missing:
                raise
    return str(_asked(products.create)(values, {"idempotency_key": f"{key}:new"}).id)


def find_prices(lookup_keys: list[str]) -> dict[str, tuple[str, int, str]]:
    """Active prices by lookup key: (id, amount, product)."""
    found: dict[str, tuple[str, int, str]] = {}
    for start in range(0, len(lookup_keys), 10):
        wanted = {"lookup_keys": lookup_keys[start : start + 10], "active": True, "limit": 100}
        for price in _pages(_api().prices.list, wanted):
            found[price.lookup_key] = (price.id, price.unit_amount, _id(price.product))
    return found


def create_price(parameters: Parameters, *, key: str) -> str:
    return str(_asked(_api().prices.create)(_any(parameters), {"idempotency_key": key}).id)


def retire_price(price_id: str, *, key: str) -> None:
    _asked(_api().prices.update)(price_id, {"active": False}, {"idempotency_key": key})


# Webhooks -----------------------------------------------------------------------------------------------------------


def verify(body: bytes, signature: str) -> None:
    """Raise `BadSignature` unless one of our secrets signed `body` within five minutes of now, either way."""
    secrets = [secret.strip() for secret in settings.STRIPE_WEBHOOK_SECRET.split(",") if secret.strip()]
    if not any(_is_signed(body, signature, secret) for secret in secrets):
        raise BadSignature


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, SIGNATURE_TOLERANCE_SECONDS)
        signed_at = int(next(part for part in signature.split(",") if part.startswith("t="))[2:])
    except (stripe.SignatureVerificationError, TypeError, ValueError, AttributeError, OverflowError, StopIteration):
        return False
    return signed_at <= time.time() + SIGNATURE_TOLERANCE_SECONDS


# The SDK's shapes ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _client(api_key: str, api_base: str) -> stripe.StripeClient:
    addresses: Any = {"api": api_base} if api_base else None
    return stripe.StripeClient(
        api_key,
        stripe_version=API_VERSION,
        base_addresses=addresses,
        max_network_retries=2,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
    )


def _api() -> Any:
    if not settings.STRIPE_API_KEY:
        raise StripeUnavailable("No STRIPE_API_KEY is set: nothing can be sold here.")
    return _client(settings.STRIPE_API_KEY, settings.STRIPE_API_BASE).v1


def _asked(call: Callable[P, T]) -> Callable[P, T]:
    """The same call with the SDK's many errors told apart by what to do about them."""

    def ask(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except (stripe.APIConnectionError, stripe.RateLimitError) as error:
            raise StripeUnavailable(str(error)) from error
        except stripe.StripeError as error:
            status = error.http_status or 500
            if status >= 500 or status == 409:
                raise StripeUnavailable(str(error), is_server_error=status >= 500) from error
            raise StripeRefused(str(error), code=error.code or type(error).__name__) from error

    return ask


def _pages(call: Callable[..., Any], parameters: Parameters) -> Iterator[Any]:
    page = _asked(call)(_any(parameters))
    while True:
        yield from page.data
        if not page.has_more:
            return
        page = _asked(call)(_any(parameters | {"starting_after": page.data[-1].id}))


def _any(value: Any) -> Any:
    return value


def _id(value: Any) -> str:
    """The id of a field that is an id, an expanded object or nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value.id)


def _time(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, tz=UTC) if seconds else None


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def _metadata(made: Any) -> dict[str, str]:
    return made.metadata.to_dict() if getattr(made, "metadata", None) else {}


def _made_by(found: Iterator[Any], command_id: str) -> str:
    return next((str(made.id) for made in found if _metadata(made).get("command") == command_id), "")


def _customer(customer: Any) -> CustomerFacts:
    return CustomerFacts(
        id=customer.id,
        is_deleted=bool(getattr(customer, "deleted", False)),
        user_id=_metadata(customer).get("user", ""),
        currency=getattr(customer, "currency", None) or "",
    )


def _subscription(subscription: Any) -> SubscriptionFacts:
    item = subscription["items"].data[0]
    return SubscriptionFacts(
        id=subscription.id,
        customer_id=_id(subscription.customer),
        status=subscription.status,
        item_id=item.id,
        price_id=item.price.id,
        product_id=_id(item.price.product),
        interval=item.price.recurring.interval,
        currency=item.price.currency,
        unit_amount=item.price.unit_amount or 0,
        quantity=item.quantity or 1,
        started_at=_moment(subscription.start_date),
        period_start=_time(item.current_period_start),
        period_end=_time(item.current_period_end),
        trial_end=_time(subscription.trial_end),
        cancels_at=_time(subscription.cancel_at)
        or (_time(item.current_period_end) if subscription.cancel_at_period_end else None),
        ended_at=_time(subscription.ended_at),
        schedule_id=_id(subscription.schedule),
        latest_invoice_id=_id(subscription.latest_invoice),
    )


def _invoice(invoice: Any) -> InvoiceFacts:
    parent = invoice.parent
    details = parent.subscription_details if parent else None
    ends = [line.period.end for line in invoice.lines.data]
    return InvoiceFacts(
        id=invoice.id,
        customer_id=_id(invoice.customer),
        subscription_id=_id(details.subscription) if details else "",
        number=invoice.number or "",
        status=invoice.status or "draft",
        billing_reason=invoice.billing_reason or "",
        currency=invoice.currency,
        total=invoice.total,
        amount_due=invoice.amount_due,
        amount_paid=invoice.amount_paid,
        attempt_count=invoice.attempt_count,
        next_attempt_at=_time(invoice.next_payment_attempt),
        created_at=_moment(invoice.created),
        period_end=_time(max(ends, default=None)),
        page_url=invoice.hosted_invoice_url or "",
        pdf_url=invoice.invoice_pdf or "",
    )


def _charge(charge: Any) -> ChargeFacts:
    return ChargeFacts(
        id=charge.id,
        customer_id=_id(charge.customer),
        payment_intent_id=_id(charge.payment_intent),
        amount=charge.amount,
        amount_refunded=charge.amount_refunded,
        is_disputed=bool(charge.disputed),
    )


def _checkout(session: Any) -> CheckoutFacts:
    return CheckoutFacts(
        id=session.id,
        url=session.url or "",
        status=session.status or "",
        user_id=session.client_reference_id or "",
        customer_id=_id(session.customer),
        subscription_id=_id(session.subscription),
    )
