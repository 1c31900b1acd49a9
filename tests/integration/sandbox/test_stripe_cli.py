"""Stripe's own command line judges the simulated Stripe: `stripe trigger` asks for what it takes to make an event.

Needs Linux on x86-64, and npm's registry the first time.
"""

from __future__ import annotations

import os
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.stack import npm
from tests.stack.simulated_stripe import KEY
from tests.stack.surroundings import ROOT

VERSION = "1.52.0"
PACKAGE = "@stripe/cli-linux-x64"
# Every event that the program can trigger and that has to do with subscriptions and their payment.
_EVENTS = """
billing_portal.configuration.created billing_portal.configuration.updated billing_portal.session.created
charge.captured charge.dispute.closed charge.dispute.created charge.dispute.updated charge.failed
charge.refund.updated charge.refunded charge.succeeded
checkout.session.expired
coupon.created coupon.deleted coupon.updated
credit_note.created credit_note.updated credit_note.voided
customer.created customer.deleted customer.updated
customer.discount.created customer.discount.deleted customer.discount.updated
customer.subscription.created customer.subscription.deleted customer.subscription.paused
customer.subscription.trial_will_end customer.subscription.updated
invoice.created invoice.deleted invoice.finalized invoice.marked_uncollectible invoice.paid
invoice.payment_action_required invoice.payment_failed invoice.payment_succeeded invoice.sent invoice.updated
invoice.voided
invoiceitem.created invoiceitem.deleted
payment_intent.amount_capturable_updated payment_intent.canceled payment_intent.created
payment_intent.payment_failed payment_intent.requires_action payment_intent.succeeded
payment_method.attached payment_method.detached payment_method.updated
plan.created plan.deleted plan.updated
price.created price.updated
product.created product.deleted product.updated
promotion_code.created promotion_code.updated
quote.accepted quote.canceled quote.created quote.finalized
setup_intent.canceled setup_intent.created setup_intent.requires_action setup_intent.setup_failed
setup_intent.succeeded
subscription.payment_failed subscription.payment_succeeded
subscription_schedule.aborted subscription_schedule.canceled subscription_schedule.created
subscription_schedule.released subscription_schedule.updated
tax_rate.created tax_rate.updated
test_helpers.test_clock.advancing test_helpers.test_clock.created test_helpers.test_clock.deleted
test_helpers.test_clock.ready
"""
# What docs/stripe-sandbox.md says is missing.
_MISSING = """
checkout.session.async_payment_failed checkout.session.async_payment_succeeded checkout.session.completed
customer.source.created customer.source.updated
payment_intent.partially_funded payment_intent.processing
subscription_schedule.completed subscription_schedule.expiring
v1.billing.meter.error_report_triggered v1.billing.meter.no_meter_found
"""
EVENTS, MISSING = _EVENTS.split(), _MISSING.split()
# The program's own names for what is an invoice's event.
ALSO_CALLED = {
    "subscription.payment_failed": "invoice.payment_failed",
    "subscription.payment_succeeded": "invoice.payment_succeeded",
}


@pytest.fixture(scope="session")
def program() -> Path:
    """Stripe's command line."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip(f"{PACKAGE}, the one we pin, runs on Linux with an x86-64 processor only")
    return npm.installed(PACKAGE, VERSION) / "bin" / "stripe"


@pytest.fixture
def trigger(program: Path, stripe_url: str, tmp_path: Path) -> Any:
    environment = {**os.environ, "STRIPE_API_KEY": KEY, "STRIPE_CLI_TELEMETRY_OPTOUT": "1", "HOME": str(tmp_path)}
    environment["XDG_CONFIG_HOME"] = str(tmp_path)

    def run(event: str) -> subprocess.CompletedProcess[str]:
        command = [program, "trigger", event, "--api-base", stripe_url]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return run


def test_it_can_make_every_event_that_the_documentation_promises(trigger: Any, stripe_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = dict(zip(EVENTS, pool.map(trigger, EVENTS), strict=True))
    refused = {event: run.stdout[-300:] + run.stderr[-300:] for event, run in runs.items() if run.returncode}
    assert refused == {}
    api = stripe.StripeClient(KEY, base_addresses={"api": stripe_url}).v1
    seen = {event.type for event in api.events.list({"limit": 100}).auto_paging_iter()}
    seen |= {name for name, real in ALSO_CALLED.items() if real in seen}
    # A notice that comes with time, within seconds of the trial's beginning.
    assert set(EVENTS) - seen <= {"customer.subscription.trial_will_end"}


def test_the_documentation_lists_what_it_cannot_make(trigger: Any) -> None:
    # This one's fixture expects to be refused at every step, and so never says that it failed.
    silent = "checkout.session.async_payment_failed"
    assert [event for event in MISSING if event != silent and not trigger(event).returncode] == []
    page = (ROOT / "docs" / "stripe-sandbox.md").read_text()
    assert [event for event in MISSING if f"`{event}`" not in page] == []
    assert f"{len(EVENTS)} of the {len(EVENTS) + len(MISSING)} events" in page
