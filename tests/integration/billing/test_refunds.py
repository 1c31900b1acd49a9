"""Money that staff give back ends what it paid for, whenever the simulated Stripe answers."""

from datetime import timedelta

import httpx
import pytest
from django.urls import reverse
from django.utils import timezone

from billing import checkout, commands, stripe
from billing.models import EntitlementChange, Invoice, StripeCommand
from billing.stripe import client as sdk
from tests.stack.customers import buy, newcomer, plan_of, resume

pytestmark = pytest.mark.django_db(transaction=True)

# What becomes of a request three times, as often as one is tried: the command waits in the queue then.
NOTHING_ARRIVES, ANSWER_IS_LOST = "unavailable", "lost_response"


@pytest.fixture
def url(at_simulated_stripe):
    yield at_simulated_stripe
    httpx.delete(f"{at_simulated_stripe}/_ctl/faults").raise_for_status()


@pytest.fixture
def plus(url):
    return buy(newcomer())


@pytest.fixture
def refund_in_vain(url, admin_client):
    """`refund_in_vain(invoice, kind)`: staff ask for it while Stripe does not answer `path`."""

    def ask(invoice, kind, *, path="/v1/refunds", method="POST"):
        fault = {"kind": kind, "path": path, "method": method, "times": 3}
        httpx.post(f"{url}/_ctl/faults", json=fault).raise_for_status()
        chosen = {"action": "refund", "_selected_action": [invoice.pk]}
        said = admin_client.post(reverse("admin:billing_invoice_changelist"), chosen, follow=True).content.decode()
        assert "is refunded" not in said
        httpx.delete(f"{url}/_ctl/faults").raise_for_status()

    return ask


def bill_of(subscription):
    return Invoice.objects.get(pk=subscription.latest_invoice_id)


def later():
    return timezone.now() + timedelta(hours=1)


def assert_given_back_and_ended_once(subscription):
    subscription.refresh_from_db()
    assert subscription.status == "canceled", "nobody is billed again for what was given back"
    bill = bill_of(subscription)
    assert bill.amount_refunded == bill.amount_paid
    payment = stripe.payment_of_invoice(bill.pk)
    assert len(stripe.refunds_of_payment(payment)) == 1
    ended = sdk.api().events.list({"type": "customer.subscription.deleted", "limit": 100}).data
    assert [event.data.object.id for event in ended].count(subscription.pk) == 1
    user = subscription.customer.user
    assert (plan_of(user), checkout.open_subscription(user)) == ("free", None)
    assert EntitlementChange.objects.filter(user=user, to_plan="free").count() == 1
    assert set(StripeCommand.objects.filter(kind="create_refund").values_list("state", flat=True)) == {"done"}


@pytest.mark.parametrize("kind", [NOTHING_ARRIVES, ANSWER_IS_LOST])
def test_a_refund_that_is_answered_late_ends_what_it_paid_for(plus, refund_in_vain, kind):
    refund_in_vain(bill_of(plus), kind)
    assert commands.run_waiting(now=later()) == 1
    assert_given_back_and_ended_once(plus)


@pytest.mark.parametrize("kind", [NOTHING_ARRIVES, ANSWER_IS_LOST])
def test_an_end_that_is_answered_late_comes_all_the_same(plus, refund_in_vain, kind):
    refund_in_vain(bill_of(plus), kind, path=f"/v1/subscriptions/{plus.pk}", method="DELETE")
    assert commands.run_waiting(now=later()) == 1
    assert_given_back_and_ended_once(plus)


@pytest.mark.parametrize("path", ["/v1/refunds", "/v1/charges"])
def test_a_refund_that_was_given_up_and_is_asked_for_again_in_the_admin_ends_what_it_paid_for(
    plus, refund_in_vain, admin_client, path
):
    refund_in_vain(bill_of(plus), ANSWER_IS_LOST, path=path, method="POST" if path == "/v1/refunds" else "GET")
    given_up = StripeCommand.objects.get(kind="create_refund")
    StripeCommand.objects.filter(pk=given_up.pk).update(state="dead", finished_at=timezone.now())
    chosen = {"action": "replay", "_selected_action": [str(given_up.pk)]}
    answer = admin_client.post(reverse("admin:billing_stripecommand_changelist"), chosen, follow=True)
    assert "1 command waits again." in answer.content.decode()
    assert commands.run_waiting(now=later()) == 1
    assert_given_back_and_ended_once(plus)


def test_what_the_payer_wishes_meanwhile_does_not_keep_what_was_given_back(plus, refund_in_vain):
    refund_in_vain(bill_of(plus), ANSWER_IS_LOST)
    resume(plus, timezone.now())
    assert commands.run_waiting(now=later()) == 1
    assert_given_back_and_ended_once(plus)


def test_a_late_refund_of_an_earlier_month_leaves_what_is_paid_for_now(url, plus, refund_in_vain):
    bill = bill_of(plus)
    till_renewed = (plus.period_end - timezone.now()).total_seconds() + 7200
    httpx.post(f"{url}/_ctl/time", json={"seconds": round(till_renewed)}, timeout=60).raise_for_status()
    refund_in_vain(bill, ANSWER_IS_LOST)
    assert commands.run_waiting(now=later()) == 1
    bill.refresh_from_db()
    plus.refresh_from_db()
    assert (bill.amount_refunded, plus.status) == (2000, "active")
    assert plus.latest_invoice_id != bill.pk
