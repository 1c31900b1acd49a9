"""What is lost, late, refused or cut off between us and Stripe is made good: events, commands, reconciliation.

Over HTTP with the simulated Stripe; with `STRIPE_SANDBOX_KEY` what needs nothing of that one is done at a real sandbox.
"""

import dataclasses
import html
import uuid
from datetime import timedelta

import httpx
import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import erasure
from billing import checkout, commands, mirror, stripe, subscriptions, webhooks
from billing.models import Customer, Invoice, StripeCommand, StripeEvent
from billing.stripe import client as sdk
from tests.stack.customers import buy, cancel, newcomer, open_checkout, pay, plan_of, price, resume
from tests.stack.stripe_sandbox import only_simulated

# No webhook is sent: every test hears by asking.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("at_stripe")]


@pytest.fixture
def ann():
    return newcomer("ann")


class Crash(BaseException):
    """The process ends here: nothing below catches it."""


@pytest.mark.parametrize("moment", ["before asking", "after asking"])
def test_a_crash_at_any_step_of_a_command_leaves_one_object_and_the_command_ends(ann, monkeypatch, moment):
    real = commands.OPERATIONS["create_customer"]

    def crashing(values, key):
        if moment == "after asking":
            real.perform(values, key)
        raise Crash

    broken = dataclasses.replace(real, perform=crashing)
    monkeypatch.setitem(commands.OPERATIONS, "create_customer", broken)
    with pytest.raises(Crash):
        checkout.ensure_customer(ann, now=timezone.now())
    monkeypatch.undo()
    assert StripeCommand.objects.get().state == "waiting"
    assert commands.run_waiting(now=timezone.now() + timedelta(hours=1)) == 1
    customer = checkout.ensure_customer(ann, now=timezone.now())
    command = StripeCommand.objects.get()
    assert (command.state, command.result["id"]) == ("done", customer.stripe_id)
    assert stripe.find_customer(email=ann.email, command_id=str(command.pk)) == customer.stripe_id
    made = list(sdk.pages(sdk.api().customers.list, {"email": ann.email, "limit": 100}))
    assert len(made) == 1


def test_a_command_that_stripe_refuses_ends_and_says_why(ann):
    with pytest.raises(commands.CommandRefused):
        commands.run(
            kind="update_subscription",
            key=f"test:{uuid.uuid4()}",
            user=ann,
            parameters={"subscription": "sub_none", "change": {"cancel_at_period_end": True}},
            now=timezone.now(),
        )
    assert StripeCommand.objects.get().state == "refused"


@only_simulated
def test_an_unreachable_stripe_keeps_the_command_for_later(ann, settings, stripe_url):
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    with pytest.raises(stripe.StripeUnavailable):
        checkout.ensure_customer(ann, now=timezone.now())
    settings.STRIPE_API_BASE = stripe_url
    assert commands.run_waiting(now=timezone.now() + timedelta(hours=1)) == 1
    assert checkout.ensure_customer(ann, now=timezone.now())


def give_up(now):
    """The last of the attempts at what waits fails."""
    StripeCommand.objects.filter(state="waiting").update(attempts=StripeCommand.MAX_ATTEMPTS - 1)
    commands.run_waiting(now=now)
    assert StripeCommand.objects.latest("created_at").state == "dead"


@only_simulated
def test_what_was_given_up_in_a_long_outage_is_done_when_it_is_asked_for_again(ann, settings, stripe_url):
    now = timezone.now()
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    with pytest.raises(stripe.StripeUnavailable):
        checkout.ensure_customer(ann, now=now)
    give_up(now + timedelta(hours=7))
    settings.STRIPE_API_BASE = stripe_url
    assert checkout.ensure_customer(ann, now=now + timedelta(days=2)).stripe_id
    assert len(list(sdk.pages(sdk.api().customers.list, {"email": ann.email}))) == 1


@only_simulated
def test_staff_have_stripe_asked_again_for_what_was_given_up_but_not_for_what_is_replaced(
    ann, settings, stripe_url, admin_client
):
    subscription, now = buy(ann), timezone.now()
    unheard(settings, stripe_url, resume, subscription, now)
    settings.STRIPE_API_BASE = AWAY
    give_up(now + timedelta(hours=7))
    settings.STRIPE_API_BASE = stripe_url
    given_up = StripeCommand.objects.latest("created_at")
    address = reverse("admin:billing_stripecommand_changelist")
    assert given_up.error in html.unescape(admin_client.get(f"{address}?state__exact=dead").content.decode())

    def ask_again():
        chosen = {"action": "replay", "_selected_action": [str(given_up.pk)]}
        return admin_client.post(address, chosen, follow=True).content.decode()

    checkout.portal(user=ann, wish_id=uuid.uuid4(), flow="", now=timezone.now())  # no wish, so nothing is replaced
    assert "1 command waits again." in ask_again()
    assert commands.run_waiting(now=timezone.now()) == 1
    given_up.refresh_from_db()
    assert (given_up.state, given_up.error) == ("done", "")
    cancel(subscription, timezone.now())
    StripeCommand.objects.filter(pk=given_up.pk).update(state="dead")
    assert "1 stay as they are" in ask_again()
    assert commands.run_waiting(now=timezone.now()) == 0
    assert stripe.retrieve_subscription(subscription.pk).cancels_at is not None


@only_simulated
def test_what_stripe_refused_is_asked_anew_by_whoever_asks_again(ann, stripe_url):
    subscription = buy(ann)
    (charge,) = stripe.charges_of_payment(stripe.payment_of_invoice(subscription.latest_invoice_id))
    dispute = httpx.post(f"{stripe_url}/_ctl/disputes/{charge.id}").json()
    wanted = {"invoice_id": subscription.latest_invoice_id, "subscription": subscription, "why": "asked"}
    with pytest.raises(subscriptions.CannotChange, match="charge_disputed"):
        subscriptions.refund(**wanted, now=timezone.now())
    httpx.post(f"{stripe_url}/_ctl/disputes/{dispute['id']}/decide", json={"won": True}).raise_for_status()
    subscriptions.refund(**wanted, now=timezone.now())
    assert Invoice.objects.get().amount_refunded == 2000


@only_simulated
def test_who_left_during_a_long_outage_is_deleted_at_stripe_in_the_nights_after_it(ann, settings, stripe_url):
    subscription, now = buy(ann), timezone.now()
    erasure.erase(ann.pk, now=now)
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    give_up(now + timedelta(hours=7))
    settings.STRIPE_API_BASE = stripe_url
    later = now + timedelta(days=2)
    assert (commands.run_waiting(now=later), commands.retry_deletions(now=later)) == (0, 1)
    assert (commands.run_waiting(now=later), commands.retry_deletions(now=later)) == (1, 0)
    assert stripe.retrieve_subscription(subscription.pk).status == "canceled"


def test_who_leaves_while_stripe_is_away_is_no_customer_when_it_is_back(ann, settings, stripe_url):
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    with pytest.raises(stripe.StripeUnavailable):
        checkout.ensure_customer(ann, now=timezone.now())
    email, user_id = ann.email, str(ann.pk)
    erasure.erase(ann.pk, now=timezone.now())
    rows = list(StripeCommand.objects.values())
    assert not [row for row in rows if email in str(row) or user_id in str(row)]
    settings.STRIPE_API_BASE = stripe_url
    assert commands.run_waiting(now=timezone.now() + timedelta(hours=1)) == 1, "only looked whether there was one"
    assert not list(sdk.pages(sdk.api().customers.list, {"email": email}))
    assert not StripeCommand.objects.filter(state="waiting").exists()


def test_who_leaves_while_an_upgrade_waits_is_not_charged_for_it(ann, settings, stripe_url):
    subscription = buy(ann)
    wish = {"subscription": subscription, "price": price("pro"), "quantity": 1, "wish_id": uuid.uuid4()}
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    with pytest.raises(stripe.StripeUnavailable):
        subscriptions.change(**wish, at=timezone.now(), now=timezone.now())
    erasure.erase(ann.pk, now=timezone.now())
    settings.STRIPE_API_BASE = stripe_url
    assert commands.run_waiting(now=timezone.now() + timedelta(hours=1)) == 1, "the customer is deleted"
    customer_id = subscription.customer.stripe_id
    assert [bill.total for bill in sdk.pages(sdk.api().invoices.list, {"customer": customer_id})] == [2000]
    assert stripe.retrieve_subscription(subscription.pk).status == "canceled"


AWAY = "http://127.0.0.1:1"


def unheard(settings, stripe_url, deed, *given):
    """What is asked for while Stripe is away."""
    settings.STRIPE_API_BASE = AWAY
    with pytest.raises(stripe.StripeUnavailable):
        deed(*given)
    settings.STRIPE_API_BASE = stripe_url


@only_simulated
@pytest.mark.parametrize("is_heard", [False, True], ids=["nothing arrived", "only the answer was lost"])
def test_a_cancellation_that_was_not_answered_does_not_end_what_was_taken_back(ann, settings, stripe_url, is_heard):
    subscription, now = buy(ann), timezone.now()
    if is_heard:
        lost = {"kind": "lost_response", "path": f"/v1/subscriptions/{subscription.pk}", "method": "POST", "times": 3}
        assert httpx.post(f"{stripe_url}/_ctl/faults", json=lost).status_code == 200
        with pytest.raises(stripe.StripeUnavailable):
            cancel(subscription, now)
        httpx.delete(f"{stripe_url}/_ctl/faults")
    else:
        unheard(settings, stripe_url, cancel, subscription, now)
    cancel(subscription, now)
    resume(subscription, now)
    assert commands.run_waiting(now=now + timedelta(hours=1)) == 0
    assert stripe.retrieve_subscription(subscription.pk).cancels_at is None


@only_simulated
def test_taking_back_that_was_not_answered_does_not_bill_who_cancels_again(ann, settings, stripe_url):
    subscription, now = buy(ann), timezone.now()
    cancel(subscription, now)
    unheard(settings, stripe_url, resume, subscription, now)
    cancel(subscription, now)
    assert commands.run_waiting(now=now + timedelta(hours=1)) == 0
    assert stripe.retrieve_subscription(subscription.pk).cancels_at is not None


def upgrade(subscription, now):
    wish = {"price": price("pro"), "quantity": 1, "wish_id": uuid.uuid4(), "at": now, "now": now}
    subscriptions.change(subscription=subscription, **wish)


@only_simulated
def test_an_upgrade_that_was_not_answered_is_tried_for_minutes_and_not_charged_hours_later(ann, settings, stripe_url):
    subscription, now = buy(ann), timezone.now()
    unheard(settings, stripe_url, upgrade, subscription, now)
    assert commands.run_waiting(now=now + timedelta(hours=1)) == 1
    assert StripeCommand.objects.get(kind="update_subscription").state == "dead"
    assert stripe.retrieve_subscription(subscription.pk).price_id == price().stripe_price_id
    unheard(settings, stripe_url, upgrade, subscription, now)
    assert commands.run_waiting(now=now + commands.FIRST_RETRY) == 1
    assert stripe.retrieve_subscription(subscription.pk).price_id == price("pro").stripe_price_id
    bills = sdk.pages(sdk.api().invoices.list, {"customer": subscription.customer.stripe_id})
    assert len(list(bills)) == 2


@only_simulated
def test_an_upgrade_of_which_only_the_answer_was_lost_is_found_and_not_billed_again(ann, settings, stripe_url):
    subscription, now = buy(ann), timezone.now()
    lost = {"kind": "lost_response", "path": f"/v1/subscriptions/{subscription.pk}", "method": "POST", "times": 3}
    assert httpx.post(f"{stripe_url}/_ctl/faults", json=lost).status_code == 200
    with pytest.raises(stripe.StripeUnavailable):
        upgrade(subscription, now)
    httpx.delete(f"{stripe_url}/_ctl/faults")
    assert commands.run_waiting(now=now + timedelta(days=2)) == 1
    assert StripeCommand.objects.get(kind="update_subscription").state == "done"
    bills = sdk.pages(sdk.api().invoices.list, {"customer": subscription.customer.stripe_id})
    assert len(list(bills)) == 2


@only_simulated
def test_who_has_paid_unheard_and_asks_for_another_page_is_told_that_they_have_the_plan(ann):
    assert pay(open_checkout(ann)).status_code in (302, 303)  # and does not come back, and no event arrives
    with pytest.raises(checkout.CannotCheckOut, match="subscribed"):
        open_checkout(ann)
    assert plan_of(ann) == "plus"
    customer_id = Customer.objects.get(user=ann).stripe_id
    assert len(list(stripe.subscriptions(customer_id))) == 1


def test_a_subscription_that_stripe_does_not_have_is_refused():
    with pytest.raises(stripe.StripeRefused, match="No such subscription"):
        mirror.refresh_subscription("sub_of_nobody", cause="test", now=timezone.now())


@only_simulated
def test_what_has_just_been_made_is_looked_for_again_where_stripe_does_not_know_it_yet(ann, stripe_url):
    pay(open_checkout(ann))
    (bought,) = sdk.pages(sdk.api().subscriptions.list, {"customer": Customer.objects.get(user=ann).stripe_id})
    stale = {"kind": "stale_read", "path": f"/v1/subscriptions/{bought.id}", "method": "GET", "times": 50}
    assert httpx.post(f"{stripe_url}/_ctl/faults", json=stale).status_code == 200
    try:
        webhooks.backfill(now=timezone.now())
        while webhooks.process_waiting(now=timezone.now):
            pass
        about = StripeEvent.objects.filter(object_id=bought.id)
        assert set(about.values_list("state", flat=True)) == {"waiting"}
        assert plan_of(ann) == "free"
    finally:
        httpx.delete(f"{stripe_url}/_ctl/faults")
    later = timezone.now() + webhooks.FIRST_RETRY
    assert webhooks.process_waiting(now=lambda: later) > 0
    assert set(about.values_list("state", flat=True)) == {"done"}
    assert plan_of(ann) == "plus"


@only_simulated
def test_an_event_that_keeps_failing_is_given_up_and_can_be_replayed(settings, ann):
    subscription = buy(ann)
    now = timezone.now()
    facts = stripe.EventFacts("evt_dead", "invoice.paid", "invoice", subscription.latest_invoice_id, "", now)
    webhooks.store(facts, body=b"", source="webhook", now=now)
    good, settings.STRIPE_API_BASE = settings.STRIPE_API_BASE, "http://127.0.0.1:1"
    sdk._client.cache_clear()
    StripeEvent.objects.update(attempts=StripeEvent.MAX_ATTEMPTS - 1)
    assert webhooks.process_waiting(now=lambda: now) == 0
    event = StripeEvent.objects.get()
    assert event.state == "dead"
    assert event.error
    settings.STRIPE_API_BASE = good
    event.replay(now=now)
    assert webhooks.process_waiting(now=lambda: now) == 1
    assert StripeEvent.objects.get().state == "done"


KINDS_OF_EVENT = """
checkout.session.completed charge.dispute.created refund.created charge.refunded invoice.paid
customer.subscription.updated subscription_schedule.updated customer.updated
"""


@pytest.mark.parametrize("kind", KINDS_OF_EVENT.split())
def test_an_event_about_what_stripe_no_longer_has_ends_at_once(kind):
    now = timezone.now()
    occurred_at = now - webhooks.UNTIL_FOUND
    event = stripe.EventFacts("evt_late", kind, "", "gone_1", "", occurred_at)
    webhooks.store(event, body=b"", source="webhook", now=now)
    assert webhooks.process_waiting(now=lambda: now) == 1
    assert StripeEvent.objects.get().state == "ignored"
