"""Production refuses settings with which no money would move."""

import pytest

from billing import stripe
from billing.checks import check_stripe


@pytest.fixture
def production(settings):
    settings.DEBUG = False
    settings.SITE_URL = "https://chat.example.org"
    settings.STRIPE_API_BASE = ""
    settings.STRIPE_API_KEY = "rk_live_x"
    settings.STRIPE_WEBHOOK_SECRET = "whsec_x"
    return settings


def ids():
    return [error.id for error in check_stripe()]


def test_live_keys_at_stripe_itself_pass(production):
    assert ids() == []


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8002", "http://localhost:1", "http://[::1]:9", "http://127.9.9.9"]
)
def test_a_simulated_stripe_is_refused(production, address):
    production.STRIPE_API_BASE = address
    assert ids() == ["billing.E002"]


@pytest.mark.parametrize("key", ["sk_test_x", "rk_test_x"])
def test_test_keys_are_refused(production, key):
    production.STRIPE_API_KEY = key
    assert ids() == ["billing.E003"]


def test_a_missing_webhook_secret_is_refused(production):
    production.STRIPE_WEBHOOK_SECRET = ""
    assert ids() == ["billing.E004"]


def test_on_a_desk_all_of_it_is_fine(production):
    production.SITE_URL = "http://127.0.0.1:8000"
    production.STRIPE_API_BASE = "http://127.0.0.1:8002"
    production.STRIPE_API_KEY = "sk_test_x"
    assert ids() == []


def test_the_sdk_speaks_the_version_this_code_was_written_for():
    assert stripe.SDK_API_VERSION == stripe.API_VERSION
