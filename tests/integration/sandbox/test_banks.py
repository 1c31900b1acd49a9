"""What banks do in the simulated Stripe: disputes, early fraud warnings, refunds that come late or back, dunning."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

DAY = 86_400


def charged(api: Any, method: str) -> Any:
    given = {"amount": 1000, "currency": "usd", "payment_method": method, "confirm": True}
    return api.charges.retrieve(api.payment_intents.create(given).latest_charge)


def types(api: Any, count: int = 20) -> list[str]:
    return [event.type for event in api.events.list({"limit": count}).data]


@pytest.mark.parametrize(
    ("evidence", "status", "moved"), [("winning", "won", [1000, -1000]), ("losing", "lost", [-1000])]
)
def test_a_dispute_takes_the_money_and_evidence_decides_it(
    api: Any, evidence: str, status: str, moved: list[int]
) -> None:
    charge = charged(api, "pm_card_createDispute")
    dispute = api.disputes.list({"charge": charge.id}).data[0]
    assert (charge.disputed, dispute.status, dispute.balance_transactions[0].fee) == (True, "needs_response", 1500)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.refunds.create({"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    draft = api.disputes.update(dispute.id, {"evidence": {"product_description": "chat"}, "submit": False})
    assert (draft.status, draft.evidence_details.submission_count) == ("needs_response", 0)
    decided = api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": f"{evidence}_evidence"}})
    assert (decided.status, decided.evidence_details.submission_count) == (status, 1)
    assert sorted(one.amount for one in decided.balance_transactions) == sorted(moved)
    assert "charge.dispute.closed" in types(api)
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        api.disputes.close(dispute.id)


def test_a_bank_decides_a_dispute_that_is_under_review(api: Any, stripe_url: str) -> None:
    charge = charged(api, "pm_card_createDispute")
    dispute = api.disputes.list({"charge": charge.id}).data[0]
    assert api.disputes.update(dispute.id, {"evidence": {"receipt": "file_1"}}).status == "under_review"
    httpx.post(f"{stripe_url}/_ctl/disputes/{dispute.id}/decide", json={"won": True}).raise_for_status()
    assert api.disputes.retrieve(dispute.id).status == "won"
    assert "charge.dispute.funds_reinstated" in types(api)


def test_an_early_warning_can_be_acted_on_until_the_charge_is_refunded(api: Any, stripe_url: str) -> None:
    charge = charged(api, "pm_card_createIssuerFraudRecord")
    warning = api.radar.early_fraud_warnings.list({"charge": charge.id}).data[0]
    assert (warning.actionable, warning.payment_intent) == (True, charge.payment_intent)
    api.refunds.create({"charge": charge.id})
    assert not api.radar.early_fraud_warnings.retrieve(warning.id).actionable
    assert types(api)[:4].count("radar.early_fraud_warning.updated") == 1
    other = charged(api, "pm_card_visa")
    httpx.post(f"{stripe_url}/_ctl/fraud_warnings/{other.id}").raise_for_status()
    assert types(api, 1) == ["radar.early_fraud_warning.created"]


@pytest.mark.parametrize(
    ("method", "status", "refunded"), [("pm_card_pendingRefund", "succeeded", 400), ("pm_card_refundFail", "failed", 0)]
)
def test_a_refund_that_takes_its_time_arrives_or_comes_back(
    api: Any, stripe_url: str, method: str, status: str, refunded: int
) -> None:
    charge = charged(api, method)
    refund = api.refunds.create({"charge": charge.id, "amount": 400})
    assert refund.status == "pending"
    httpx.post(f"{stripe_url}/_ctl/time", json={"seconds": 120}).raise_for_status()
    assert api.refunds.retrieve(refund.id).status == status
    assert api.charges.retrieve(charge.id, {"expand": ["refunds"]}).amount_refunded == refunded
    with pytest.raises(stripe.InvalidRequestError):
        api.refunds.cancel(refund.id)


def test_a_refund_on_its_way_can_be_stopped(api: Any) -> None:
    charge = charged(api, "pm_card_pendingRefund")
    refund = api.refunds.create({"charge": charge.id})
    assert api.refunds.cancel(refund.id).status == "canceled"
    assert api.charges.retrieve(charge.id).amount_refunded == 0


@pytest.mark.parametrize("status", ["unpaid", "past_due", "canceled"])
def test_after_the_last_retry_the_account_decides_what_becomes_of_it(api: Any, stripe_url: str, status: str) -> None:
    setting = {"status": "cancel" if status == "canceled" else status}
    httpx.post(f"{stripe_url}/_ctl/after_retries", json=setting).raise_for_status()
    product = api.products.create({"name": "Plus"})
    given = {"currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}}
    price = api.prices.create({"product": product.id, **given})
    customer = api.customers.create({"payment_method": "pm_card_visa"})
    good = api.payment_methods.list({"customer": customer.id}).data[0].id
    items = [{"price": price.id}]
    made = api.subscriptions.create({"customer": customer.id, "items": items, "default_payment_method": good})
    bad = api.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id}).id
    api.subscriptions.update(made.id, {"default_payment_method": bad})
    httpx.post(f"{stripe_url}/_ctl/time", json={"seconds": 50 * DAY}).raise_for_status()
    subscription = api.subscriptions.retrieve(made.id)
    assert subscription.status == status
    if status == "unpaid":
        httpx.post(f"{stripe_url}/_ctl/time", json={"seconds": 20 * DAY}).raise_for_status()
        newest = api.invoices.list({"customer": customer.id, "limit": 1}).data[0]
        assert (newest.status, newest.auto_advance) == ("draft", False)
    httpx.post(f"{stripe_url}/_ctl/after_retries", json={"status": "cancel"}).raise_for_status()


@pytest.mark.parametrize(
    ("behaviour", "status"), [("keep_as_draft", "draft"), ("mark_uncollectible", "uncollectible"), ("void", "void")]
)
def test_while_collection_is_paused_nobody_is_asked_to_pay(
    api: Any, stripe_url: str, behaviour: str, status: str
) -> None:
    product = api.products.create({"name": "Plus"})
    given = {"currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}}
    price = api.prices.create({"product": product.id, **given})
    customer = api.customers.create({"payment_method": "pm_card_visa"})
    card = api.payment_methods.list({"customer": customer.id}).data[0].id
    items = [{"price": price.id}]
    made = api.subscriptions.create({"customer": customer.id, "items": items, "default_payment_method": card})
    api.subscriptions.update(made.id, {"pause_collection": {"behavior": behaviour}})
    httpx.post(f"{stripe_url}/_ctl/time", json={"seconds": 32 * DAY}).raise_for_status()
    assert api.invoices.list({"customer": customer.id, "limit": 1}).data[0].status == status
    assert api.subscriptions.update(made.id, {"pause_collection": ""}).pause_collection is None
