"""What staff do with money: replay dead letters, see why they died. And the letter about a failed payment."""

import dataclasses
from datetime import UTC, datetime

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import User
from billing import mirror, stripe
from billing.models import Notice, StripeEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff():
    client = Client()
    client.force_login(User.objects.create_superuser("boss@example.org", "correct horse battery"))
    return client


@pytest.fixture
def dead(now):
    return StripeEvent.objects.create(
        stripe_id="evt_dead", type="invoice.paid", object_id="in_1", occurred_at=now, source="webhook", state="dead",
        attempts=StripeEvent.MAX_ATTEMPTS, error="StripeUnavailable: away", finished_at=now, body=b"{}",
    )  # fmt: skip


def test_dead_letters_are_listed_with_their_reason_and_replayed(staff, dead):
    address = reverse("admin:billing_stripeevent_changelist")
    assert "StripeUnavailable: away" in staff.get(f"{address}?state__exact=dead").content.decode()
    answer = staff.post(address, {"action": "replay", "_selected_action": [dead.pk]}, follow=True)
    assert "1 event waits again." in answer.content.decode()
    dead.refresh_from_db()
    assert (dead.state, dead.attempts, dead.error, dead.finished_at) == ("waiting", 0, "", None)


def test_nobody_edits_what_came_from_stripe(staff, dead):
    address = reverse("admin:billing_stripeevent_change", args=[dead.pk])
    assert staff.post(address, {"state": "done"}).status_code == 403
    assert staff.post(reverse("admin:billing_stripeevent_delete", args=[dead.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("language", "words"), [("en", "did not go through"), ("zh-hans", "¥1,400.00")], ids=["English", "Chinese"]
)
def test_a_failed_payment_is_told_once_in_the_payers_language_with_the_way_to_the_card_page(
    ann, subscribe, now, language, words, django_capture_on_commit_callbacks
):
    User.objects.filter(pk=ann.pk).update(language=language)
    subscription = subscribe(ann, "plus", status="past_due")
    facts = stripe.InvoiceFacts(
        id="in_1", customer_id=subscription.customer.stripe_id, subscription_id=subscription.pk, number="A-1",
        status="open", billing_reason="subscription_cycle", currency="cny", total=140_000, amount_due=140_000,
        amount_paid=0, attempt_count=1, next_attempt_at=now, created_at=datetime(2026, 6, 15, tzinfo=UTC),
        period_end=now, page_url="", pdf_url="",
    )  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):
        for attempts in (1, 2):
            tried = dataclasses.replace(facts, attempt_count=attempts)
            mirror.save_invoice(tried, mirror.begin_fetch(cause="test", now=now))
    (letter,) = mail.outbox
    assert letter.to == [ann.email]
    assert words in letter.body
    assert ("did not go through" in letter.body) == (language == "en")
    assert "¥1,400.00" in letter.body
    assert "/billing/portal?flow=card" in letter.body
    assert Notice.objects.get().kind == "payment_failed"


def test_who_goes_up_and_is_declined_keeps_the_plan_and_gets_no_letter(
    ann, subscribe, now, django_capture_on_commit_callbacks
):
    subscription = subscribe(ann, "plus")
    facts = stripe.InvoiceFacts(
        id="in_up", customer_id=subscription.customer.stripe_id, subscription_id=subscription.pk, number="A-2",
        status="open", billing_reason="subscription_update", currency="usd", total=900, amount_due=900,
        amount_paid=0, attempt_count=1, next_attempt_at=None, created_at=now, period_end=now, page_url="", pdf_url="",
    )  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):
        mirror.save_invoice(facts, mirror.begin_fetch(cause="test", now=now))
    assert mail.outbox == []


def test_no_plan_can_be_deleted(admin_client):
    assert admin_client.post(reverse("admin:billing_plan_delete", args=["free"]), {"post": "yes"}).status_code == 403
