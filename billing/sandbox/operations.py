"""Every operation of the API, by method and path; a star stands for an id."""

from __future__ import annotations

from collections.abc import Callable

from billing.sandbox import params as p
from billing.sandbox.account import Account
from billing.sandbox.params import Params
from billing.sandbox.resources import (
    cards,
    catalogue,
    charges,
    checkout,
    coupons,
    credit_notes,
    customers,
    disputes,
    entitlements,
    invoice_actions,
    invoice_items,
    meters,
    payments,
    plans,
    portal,
    quotes,
    refunds,
    schedules,
    setup_intents,
    subscription_changes,
    subscriptions,
    tax_ids,
    test_clocks,
)
from billing.sandbox.store import Document, in_period

Operation = Callable[..., Document]


def list_events(account: Account, params: Params) -> Document:
    p.known(params, "type", "types", "created", "delivery_success", "limit", "starting_after", "ending_before")

    def is_wanted(event: Document) -> bool:
        is_type = params.get("type") in (None, event["type"]) and event["type"] in (
            params.get("types") or [event["type"]]
        )
        wanted = params.get("delivery_success")
        is_delivered = wanted is None or p.boolean(wanted) == (event["pending_webhooks"] == 0)
        return is_type and is_delivered and in_period(event["created"], params.get("created"))

    return account.store.page(account.store.all("event", is_wanted), params, url="/v1/events")


def retrieve_event(account: Account, _params: Params, event_id: str) -> Document:
    return account.store.get("event", event_id)


# Parameters that Stripe has dropped. Who names no version, as Stripe's own command line, may still send them.
DROPPED = {
    "customers.create": ("coupon", "source"),
    "customers.update": ("coupon",),
    "coupons.create_code": ("coupon",),
}
OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/customers"): customers.create,
    ("GET", "/v1/customers"): customers.listed,
    ("GET", "/v1/customers/*"): customers.retrieve,
    ("POST", "/v1/customers/*"): customers.update,
    ("DELETE", "/v1/customers/*"): customers.delete,
    ("GET", "/v1/customers/*/payment_methods"): cards.listed,
    ("POST", "/v1/customers/*/tax_ids"): tax_ids.create,
    ("GET", "/v1/customers/*/tax_ids"): tax_ids.listed,
    ("GET", "/v1/customers/*/tax_ids/*"): tax_ids.retrieve,
    ("DELETE", "/v1/customers/*/tax_ids/*"): tax_ids.delete,
    ("POST", "/v1/products"): catalogue.create_product,
    ("GET", "/v1/products"): catalogue.list_products,
    ("GET", "/v1/products/*"): catalogue.retrieve_product,
    ("POST", "/v1/products/*"): catalogue.update_product,
    ("DELETE", "/v1/products/*"): catalogue.delete_product,
    ("POST", "/v1/products/*/features"): entitlements.give_product,
    ("GET", "/v1/products/*/features"): entitlements.product_features,
    ("POST", "/v1/prices"): catalogue.create_price,
    ("GET", "/v1/prices"): catalogue.list_prices,
    ("GET", "/v1/prices/*"): catalogue.retrieve_price,
    ("POST", "/v1/prices/*"): catalogue.update_price,
    ("POST", "/v1/plans"): plans.create,
    ("GET", "/v1/plans"): plans.listed,
    ("GET", "/v1/plans/*"): plans.retrieve,
    ("POST", "/v1/plans/*"): plans.update,
    ("DELETE", "/v1/plans/*"): plans.delete,
    ("POST", "/v1/coupons"): coupons.create,
    ("GET", "/v1/coupons"): coupons.listed,
    ("GET", "/v1/coupons/*"): coupons.retrieve,
    ("POST", "/v1/coupons/*"): coupons.update,
    ("DELETE", "/v1/coupons/*"): coupons.delete,
    ("POST", "/v1/promotion_codes"): coupons.create_code,
    ("GET", "/v1/promotion_codes"): coupons.list_codes,
    ("GET", "/v1/promotion_codes/*"): coupons.retrieve_code,
    ("POST", "/v1/promotion_codes/*"): coupons.update_code,
    ("POST", "/v1/tax_rates"): tax_ids.create_rate,
    ("GET", "/v1/tax_rates"): tax_ids.list_rates,
    ("GET", "/v1/tax_rates/*"): tax_ids.retrieve_rate,
    ("POST", "/v1/tax_rates/*"): tax_ids.update_rate,
    ("POST", "/v1/quotes"): quotes.create,
    ("GET", "/v1/quotes/*"): quotes.retrieve,
    ("POST", "/v1/quotes/*/finalize"): quotes.finalise,
    ("POST", "/v1/quotes/*/accept"): quotes.accept,
    ("POST", "/v1/quotes/*/cancel"): quotes.cancel,
    ("POST", "/v1/entitlements/features"): entitlements.create_feature,
    ("GET", "/v1/entitlements/features"): entitlements.list_features,
    ("GET", "/v1/entitlements/features/*"): entitlements.retrieve_feature,
    ("GET", "/v1/entitlements/active_entitlements"): entitlements.active,
    ("POST", "/v1/billing/meters"): meters.create,
    ("GET", "/v1/billing/meters"): meters.listed,
    ("GET", "/v1/billing/meters/*"): meters.retrieve,
    ("POST", "/v1/billing/meters/*/deactivate"): meters.deactivate,
    ("GET", "/v1/billing/meters/*/event_summaries"): meters.summaries,
    ("POST", "/v1/billing/meter_events"): meters.report,
    ("POST", "/v1/billing/credit_grants"): meters.grant,
    ("GET", "/v1/billing/credit_grants"): meters.list_grants,
    ("GET", "/v1/billing/credit_grants/*"): meters.retrieve_grant,
    ("POST", "/v1/billing/credit_grants/*/void"): meters.void_grant,
    ("POST", "/v1/checkout/sessions"): checkout.create,
    ("GET", "/v1/checkout/sessions"): checkout.listed,
    ("GET", "/v1/checkout/sessions/*"): checkout.retrieve,
    ("POST", "/v1/checkout/sessions/*/expire"): checkout.expire,
    ("POST", "/v1/billing_portal/sessions"): portal.create,
    ("POST", "/v1/billing_portal/configurations"): portal.create_configuration,
    ("GET", "/v1/billing_portal/configurations"): portal.list_configurations,
    ("GET", "/v1/billing_portal/configurations/*"): portal.retrieve_configuration,
    ("POST", "/v1/billing_portal/configurations/*"): portal.update_configuration,
    ("POST", "/v1/subscriptions"): subscriptions.create,
    ("GET", "/v1/subscriptions"): subscriptions.listed,
    ("GET", "/v1/subscriptions/*"): subscriptions.retrieve,
    ("POST", "/v1/subscriptions/*"): subscription_changes.update,
    ("DELETE", "/v1/subscriptions/*"): subscriptions.cancel,
    ("POST", "/v1/subscriptions/*/resume"): subscription_changes.resume,
    ("POST", "/v1/subscription_schedules"): schedules.create,
    ("GET", "/v1/subscription_schedules/*"): schedules.retrieve,
    ("POST", "/v1/subscription_schedules/*"): schedules.update,
    ("POST", "/v1/subscription_schedules/*/release"): schedules.release,
    ("POST", "/v1/subscription_schedules/*/cancel"): schedules.cancel,
    ("POST", "/v1/invoices/create_preview"): subscription_changes.preview,
    ("POST", "/v1/invoices"): invoice_actions.create,
    ("GET", "/v1/invoices"): invoice_actions.listed,
    ("GET", "/v1/invoices/*"): invoice_actions.retrieve,
    ("POST", "/v1/invoices/*/pay"): invoice_actions.pay,
    ("POST", "/v1/invoices/*"): invoice_actions.update,
    ("DELETE", "/v1/invoices/*"): invoice_actions.delete,
    ("POST", "/v1/invoices/*/finalize"): invoice_actions.finalise,
    ("POST", "/v1/invoices/*/send"): invoice_actions.send,
    ("POST", "/v1/invoices/*/void"): invoice_actions.void,
    ("POST", "/v1/invoices/*/mark_uncollectible"): invoice_actions.give_up,
    ("POST", "/v1/invoiceitems"): invoice_items.create,
    ("GET", "/v1/invoiceitems"): invoice_items.listed,
    ("GET", "/v1/invoiceitems/*"): invoice_items.retrieve,
    ("DELETE", "/v1/invoiceitems/*"): invoice_items.delete,
    ("POST", "/v1/credit_notes"): credit_notes.create,
    ("GET", "/v1/credit_notes"): credit_notes.listed,
    ("GET", "/v1/credit_notes/*"): credit_notes.retrieve,
    ("POST", "/v1/credit_notes/*"): credit_notes.update,
    ("POST", "/v1/credit_notes/*/void"): credit_notes.void,
    ("GET", "/v1/invoice_payments"): payments.list_invoice_payments,
    ("GET", "/v1/payment_intents/*"): payments.retrieve,
    ("POST", "/v1/payment_intents"): payments.create,
    ("POST", "/v1/payment_intents/*/confirm"): payments.confirm,
    ("POST", "/v1/payment_intents/*/capture"): payments.capture,
    ("POST", "/v1/payment_intents/*/cancel"): payments.cancel,
    ("POST", "/v1/setup_intents"): setup_intents.create,
    ("GET", "/v1/setup_intents/*"): setup_intents.retrieve,
    ("POST", "/v1/setup_intents/*/confirm"): setup_intents.confirm,
    ("POST", "/v1/setup_intents/*/cancel"): setup_intents.cancel,
    ("GET", "/v1/payment_methods/*"): cards.retrieve,
    ("POST", "/v1/payment_methods"): cards.create,
    ("GET", "/v1/payment_methods"): cards.listed,
    ("POST", "/v1/payment_methods/*"): cards.update,
    ("POST", "/v1/payment_methods/*/attach"): cards.attach,
    ("POST", "/v1/payment_methods/*/detach"): cards.detach,
    ("GET", "/v1/charges"): charges.listed,
    ("GET", "/v1/charges/*"): charges.retrieve,
    ("POST", "/v1/charges/*"): charges.update,
    ("POST", "/v1/refunds"): refunds.create,
    ("GET", "/v1/refunds"): refunds.listed,
    ("GET", "/v1/refunds/*"): refunds.retrieve,
    ("POST", "/v1/refunds/*"): refunds.update,
    ("GET", "/v1/disputes/*"): disputes.retrieve,
    ("GET", "/v1/disputes"): disputes.listed,
    ("POST", "/v1/disputes/*"): disputes.update,
    ("POST", "/v1/disputes/*/close"): disputes.close,
    ("POST", "/v1/test_helpers/test_clocks"): test_clocks.create,
    ("GET", "/v1/test_helpers/test_clocks"): test_clocks.listed,
    ("GET", "/v1/test_helpers/test_clocks/*"): test_clocks.retrieve,
    ("POST", "/v1/test_helpers/test_clocks/*/advance"): test_clocks.advance,
    ("DELETE", "/v1/test_helpers/test_clocks/*"): test_clocks.delete,
    ("GET", "/v1/events"): list_events,
    ("GET", "/v1/events/*"): retrieve_event,
}
