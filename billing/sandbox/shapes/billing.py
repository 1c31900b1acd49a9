"""Subscriptions and what they are billed with: invoices, schedules, Checkout, the portal, credit."""

from __future__ import annotations

from typing import Any

_SELF = {"type": "self"}
_NO_TAX = {"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None}

EMPTY = {
    "billing.credit_grant": "customer_account effective_at expires_at name priority test_clock voided_at",
    "billing_portal.configuration": "application default_return_url name",
    "billing_portal.session": "customer_account flow locale on_behalf_of return_url",
    "checkout.session": (
        "adaptive_pricing after_expiration allow_promotion_codes amount_subtotal amount_total"
        " billing_address_collection cancel_url client_reference_id client_secret collected_information consent"
        " consent_collection currency currency_conversion customer customer_account customer_creation customer_details"
        " customer_email invoice invoice_creation locale origin_context payment_intent payment_link"
        " payment_method_collection payment_method_configuration_details permissions recovered_from setup_intent"
        " shipping_address_collection shipping_cost submit_type subscription success_url url wallet_options"
    ),
    "credit_note": (
        "customer_account customer_balance_transaction effective_at memo out_of_band_amount reason shipping_cost"
        " subtotal_excluding_tax total_excluding_tax voided_at"
    ),
    "credit_note_line_item": "description invoice_line_item quantity unit_amount unit_amount_decimal",
    "discount": (
        "checkout_session customer customer_account end invoice invoice_item promotion_code subscription"
        " subscription_item"
    ),
    "event": "account context",
    "invoice": (
        "account_country account_name account_tax_ids application automatically_finalizes_at billing_reason"
        " custom_fields customer_account customer_address customer_email customer_name customer_phone"
        " customer_shipping default_payment_method default_source description due_date effective_at ending_balance"
        " footer from_invoice hosted_invoice_url invoice_pdf last_finalization_error latest_revision"
        " next_payment_attempt number on_behalf_of parent receipt_number rendering shipping_cost shipping_details"
        " statement_descriptor subtotal_excluding_tax test_clock total_excluding_tax webhooks_delivered_at"
    ),
    "invoice_payment": "amount_paid",
    "invoiceitem": "customer_account description invoice parent pricing tax_rates test_clock",
    "item": "description price quantity",
    "line_item": "description invoice parent pricing quantity subscription",
    "quote": (
        "application application_fee_amount application_fee_percent currency customer customer_account description"
        " footer from_quote header invoice number on_behalf_of subscription subscription_schedule test_clock"
        " transfer_data"
    ),
    "subscription": (
        "application application_fee_percent billing_cycle_anchor_config billing_thresholds cancel_at canceled_at"
        " customer_account days_until_due default_payment_method default_source description ended_at latest_invoice"
        " next_pending_invoice_item_invoice on_behalf_of pause_collection pending_invoice_item_interval"
        " pending_setup_intent pending_update schedule test_clock transfer_data trial_end trial_start"
    ),
    "subscription_item": "billed_until billing_thresholds",
    "subscription_schedule": (
        "application canceled_at completed_at current_phase customer_account released_at released_subscription"
        " subscription test_clock"
    ),
}
BEGINS: dict[str, dict[str, Any]] = {
    "billing.credit_grant": {"category": "promotional", "livemode": False, "metadata": {}},
    "billing_portal.configuration": {
        "active": True,
        "is_default": False,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
    },
    "billing_portal.session": {"livemode": False},
    "checkout.session": {
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "discounts": [],
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "saved_payment_method_options": None,
        "shipping_options": [],
        "status": "open",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
    },
    "credit_note": {
        "amount_shipping": 0,
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "metadata": {},
        "post_payment_amount": 0,
        "pre_payment_amount": 0,
        "pretax_credit_amounts": [],
        "refunds": [],
        "status": "issued",
        "total_taxes": [],
    },
    "credit_note_line_item": {
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [],
        "tax_rates": [],
        "taxes": [],
    },
    "invoice": {
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": _NO_TAX,
        "collection_method": "charge_automatically",
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": _SELF,
        "livemode": False,
        "metadata": {},
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
    },
    "invoice_payment": {"is_default": True, "livemode": False},
    "invoiceitem": {"discountable": True, "discounts": [], "livemode": False, "metadata": {}, "proration": False},
    "item": {"amount_discount": 0, "amount_tax": 0, "discounts": [], "taxes": []},
    "line_item": {
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [],
        "taxes": [],
    },
    "quote": {
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "collection_method": "charge_automatically",
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {
            "custom_fields": None,
            "days_until_due": None,
            "description": None,
            "footer": None,
            "issuer": _SELF,
        },
        "livemode": False,
        "metadata": {},
        "status": "draft",
        "status_transitions": {"accepted_at": None, "canceled_at": None, "finalized_at": None},
        "subscription_data": {
            "billing_mode": {"type": "flexible"},
            "description": None,
            "effective_date": None,
            "metadata": {},
            "trial_period_days": None,
        },
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    },
    "subscription": {
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": _SELF,
        },
        "livemode": False,
        "metadata": {},
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    },
    "subscription_item": {"discounts": [], "metadata": {}, "tax_rates": []},
    "subscription_schedule": {
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}},
        "default_settings": {
            "application_fee_percent": None,
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": None,
            "collection_method": "charge_automatically",
            "default_payment_method": None,
            "description": None,
            "invoice_settings": {
                "account_tax_ids": None,
                "custom_fields": None,
                "days_until_due": None,
                "description": None,
                "footer": None,
                "issuer": _SELF,
            },
            "on_behalf_of": None,
            "transfer_data": None,
        },
        "end_behavior": "release",
        "livemode": False,
        "metadata": {},
        "pause_schedules": [],
        "status": "active",
    },
}
