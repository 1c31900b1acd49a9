"""How it is paid: cards, intents, charges, refunds, disputes."""

from __future__ import annotations

from typing import Any

NO_ADDRESS = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}
NO_BILLING_DETAILS = {"address": NO_ADDRESS, "email": None, "name": None, "phone": None, "tax_id": None}
_EVIDENCE = (
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure cancellation_rebuttal"
    " customer_communication customer_email_address customer_name customer_purchase_ip customer_signature"
    " duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt"
    " refund_policy refund_policy_disclosure refund_refusal_explanation service_date service_documentation"
    " shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number"
    " uncategorized_file uncategorized_text"
)

EMPTY = {
    "balance_transaction": "description exchange_rate source",
    "charge": (
        "application application_fee application_fee_amount balance_transaction calculated_statement_descriptor"
        " customer description failure_balance_transaction failure_code failure_message on_behalf_of outcome"
        " payment_intent payment_method payment_method_details receipt_email receipt_number receipt_url review"
        " shipping source source_transfer statement_descriptor statement_descriptor_suffix transfer_data transfer_group"
    ),
    "customer": (
        "address currency customer_account default_source description discount email invoice_prefix name phone shipping"
        " test_clock"
    ),
    "customer_balance_transaction": "checkout_session credit_note customer_account description invoice",
    "dispute": "intended_submission_method network_reason_code payment_intent",
    "payment_intent": (
        "application application_fee_amount automatic_payment_methods canceled_at cancellation_reason client_secret"
        " customer customer_account description excluded_payment_method_types last_payment_error latest_charge"
        " next_action on_behalf_of payment_method payment_method_configuration_details payment_method_options"
        " processing receipt_email review setup_future_usage shipping source statement_descriptor"
        " statement_descriptor_suffix transfer_data transfer_group"
    ),
    "payment_method": "customer customer_account",
    "refund": (
        "balance_transaction charge payment_intent reason receipt_number source_transfer_reversal transfer_reversal"
    ),
    "setup_intent": (
        "application automatic_payment_methods cancellation_reason client_secret customer customer_account description"
        " excluded_payment_method_types flow_directions last_setup_error latest_attempt mandate next_action"
        " on_behalf_of payment_method payment_method_configuration_details payment_method_options single_use_mandate"
    ),
}
BEGINS: dict[str, dict[str, Any]] = {
    "charge": {
        "amount_refunded": 0,
        "billing_details": NO_BILLING_DETAILS,
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "refunded": False,
    },
    "customer": {
        "balance": 0,
        "delinquent": False,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    },
    "customer_balance_transaction": {"livemode": False, "metadata": {}},
    "dispute": {
        "balance_transactions": [],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE.split()), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": None,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "livemode": False,
        "metadata": {},
    },
    "payment_intent": {
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "confirmation_method": "automatic",
        "livemode": False,
        "metadata": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    },
    "payment_method": {
        "allow_redisplay": "unspecified",
        "billing_details": NO_BILLING_DETAILS,
        "livemode": False,
        "metadata": {},
    },
    "radar.early_fraud_warning": {"livemode": False},
    "refund": {"metadata": {}, "status": "succeeded"},
    "setup_intent": {
        "livemode": False,
        "metadata": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
    },
}
