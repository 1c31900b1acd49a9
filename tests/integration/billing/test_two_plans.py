"""Somebody pays for two plans: hard to come by, found when it happens, and told to staff, who decide."""

import pytest
from django.urls import reverse
from django.utils import timezone

from billing import checkout, reconciliation, stripe, tasks
from billing.models import StripeCommand, Subscription
from billing.stripe import client as sdk
from tests.stack.at_once import under_way
from tests.stack.customers import buy, come_back, newcomer, open_checkout, pay, plan_of, price

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann(at_simulated_stripe):
    return newcomer("ann")


def make_by_hand(user, plan):
    """What somebody does in Stripe's dashboard."""
    wanted = {"customer": user.customer.stripe_id, "items": [{"price": price(plan).stripe_price_id}]}
    (card,) = sdk.api().payment_methods.list({"customer": user.customer.stripe_id}).data
    return sdk.api().subscriptions.create({**wanted, "default_payment_method": card.id})


def test_of_two_tabs_that_ask_for_a_payment_page_in_one_moment_one_gets_a_page_to_pay_on(ann, at_simulated_stripe):
    checkout.ensure_customer(ann, now=timezone.now())
    with under_way(at_simulated_stripe, "/v1/checkout/sessions", 1.5, open_checkout, user=ann):
        address = open_checkout(ann)
    customer = {"customer": ann.customer.stripe_id}
    open_pages = list(sdk.pages(sdk.api().checkout.sessions.list, customer | {"status": "open"}))
    assert [page.url for page in open_pages] == [address]
    assert StripeCommand.objects.filter(kind="create_checkout", state="done").count() == 2


def test_a_second_plan_is_found_at_night_and_gives_the_better_of_them_until_staff_decide(ann, admin_client, caplog):
    plus = buy(ann)
    pro = make_by_hand(ann, "pro")
    assert reconciliation.reconcile(now=timezone.now())[-1] == reconciliation.Drift(plus.pk, reconciliation.SECOND)
    assert reconciliation.reconcile(now=timezone.now()) == [reconciliation.Drift(plus.pk, reconciliation.SECOND)]
    assert (plan_of(ann), checkout.open_subscription(ann).pk) == ("pro", pro.id)
    caplog.clear()
    tasks.reconcile()
    (said,) = [record.getMessage() for record in caplog.records if "more than one plan" in record.getMessage()]
    assert plus.pk in said
    assert "repaired" not in caplog.text
    address = reverse("admin:billing_subscription_changelist")
    chosen = {"action": "reconcile", "_selected_action": [plus.pk]}
    assert "1 plan is paid for beside another" in admin_client.post(address, chosen, follow=True).content.decode()
    listed = admin_client.get(address, {"several": "yes"}).content.decode()
    assert plus.pk in listed
    assert pro.id in listed
    sdk.api().subscriptions.cancel(plus.pk)
    reconciliation.reconcile(now=timezone.now())
    assert reconciliation.reconcile(now=timezone.now()) == []
    assert plus.pk not in admin_client.get(address, {"several": "yes"}).content.decode()


def test_who_comes_back_from_a_payment_page_with_a_plan_that_nobody_told_of_is_told_to_staff(ann, caplog):
    address = open_checkout(ann)
    made = sdk.api().payment_methods.attach("pm_card_visa", {"customer": ann.customer.stripe_id})
    settings = {"invoice_settings": {"default_payment_method": made.id}}
    sdk.api().customers.update(ann.customer.stripe_id, settings)
    pro = make_by_hand(ann, "pro")
    plus = come_back(ann, pay(address))
    assert plus.pk in caplog.text
    assert {row.pk for row in Subscription.objects.open()} == {plus.pk, pro.id}
    assert plan_of(ann) == "pro"
    assert len(list(stripe.subscriptions(ann.customer.stripe_id))) == 2
