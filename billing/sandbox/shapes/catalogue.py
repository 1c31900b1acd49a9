"""What is sold: products, prices, coupons, taxes, meters, features."""

from __future__ import annotations

from typing import Any

EMPTY = {
    "account": "business_type company email",
    "billing.meter": "event_time_window",
    "coupon": "amount_off currency duration_in_months max_redemptions name percent_off redeem_by",
    "plan": "amount amount_decimal meter nickname product tiers_mode transform_usage trial_period_days",
    "price": (
        "custom_unit_amount lookup_key nickname recurring tiers_mode transform_quantity unit_amount unit_amount_decimal"
    ),
    "product": (
        "default_price description package_dimensions shippable statement_descriptor tax_code tax_details unit_label"
        " url"
    ),
    "promotion_code": "customer customer_account expires_at max_redemptions",
    "tax_id": "country customer customer_account owner verification",
    "tax_rate": (
        "country description effective_percentage flat_amount jurisdiction jurisdiction_level rate_type state tax_type"
    ),
    "test_helpers.test_clock": "name",
}
BEGINS: dict[str, dict[str, Any]] = {
    "account": {
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "metadata": {},
        "payouts_enabled": True,
        "type": "standard",
    },
    "billing.meter": {
        "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "value_settings": {"event_payload_key": "value"},
    },
    "billing.meter_event": {"livemode": False},
    "billing.meter_event_summary": {"livemode": False},
    "coupon": {"livemode": False, "metadata": {}, "times_redeemed": 0, "valid": True},
    "entitlements.active_entitlement": {"livemode": False},
    "entitlements.feature": {"active": True, "livemode": False, "metadata": {}},
    "plan": {"active": True, "billing_scheme": "per_unit", "livemode": False, "metadata": {}, "usage_type": "licensed"},
    "price": {
        "active": True,
        "billing_scheme": "per_unit",
        "livemode": False,
        "metadata": {},
        "tax_behavior": "unspecified",
    },
    "product": {
        "active": True,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "type": "service",
    },
    "product_feature": {"livemode": False},
    "promotion_code": {"active": True, "livemode": False, "metadata": {}, "times_redeemed": 0},
    "tax_id": {"livemode": False},
    "tax_rate": {"active": True, "livemode": False, "metadata": {}},
    "test_helpers.test_clock": {"livemode": False, "status": "ready", "status_details": {}},
    "webhook_endpoint": {
        "api_version": None,
        "application": None,
        "description": None,
        "livemode": False,
        "metadata": {},
        "status": "enabled",
    },
}
