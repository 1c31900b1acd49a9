"""What months do to a customer: renewals, trials, cards that fail and are mended, plans that run out."""

import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.urls import reverse

from billing import checkout, reconciliation, stripe, subscriptions, webhooks
from billing.entitlements import GRACE, Reason, entitlement_of, record_changes_by_time
from billing.models import EntitlementChange, Invoice, Plan, Subscription
from billing.stripe import client as sdk
from tests.stack.customers import PAID, buy, come_back, newcomer, open_checkout, pay, price

pytestmark = pytest.mark.django_db(transaction=True)

FAILS_WHEN_CHARGED = "4000000000000341"


class Time:
    """The time of the simulated Stripe; we hear of what it brings by asking for missed events."""

    def __init__(self, url):
        self.url = url
        self.now = self._move(0)

    def _move(self, seconds):
        answer = httpx.post(f"{self.url}/_ctl/time", json={"seconds": round(seconds)}, timeout=60)
        return datetime.fromtimestamp(answer.json()["now"], tz=UTC)

    def passes(self, **duration):
        before = self.now
        self.now = self._move(timedelta(**duration).total_seconds())
        webhooks.backfill(now=self.now, since=before - timedelta(minutes=1))
        while webhooks.process_waiting(now=lambda: self.now):
            pass


@pytest.fixture
def time(at_simulated_stripe):
    return Time(at_simulated_stripe)


@pytest.fixture
def ann():
    return newcomer("ann")


def entitlement(user, time):
    return entitlement_of(user, now=time.now)


def buy_with_a_card_that_fails_later(user):
    """The first month is free, as the card would not pay even that."""
    Plan.objects.filter(key="plus").update(trial_days=14)
    bought = come_back(user, pay(open_checkout(user), FAILS_WHEN_CHARGED))
    assert bought.status == "trialing"
    return bought


def test_a_renewal_goes_on_without_a_gap(ann, time):
    subscription = buy(ann)
    for months in (1, 2, 3):
        time.passes(seconds=(subscription.period_end - time.now).total_seconds() + 7200)
        subscription.refresh_from_db()
        assert subscription.period_end > time.now
        assert entitlement(ann, time).plan_key == "plus"
        assert Invoice.objects.filter(status="paid").count() == months + 1


def test_the_plan_goes_on_while_the_renewal_is_still_a_draft(ann, time):
    subscription = buy(ann)
    time.passes(seconds=(subscription.period_end - time.now).total_seconds() + 600)
    assert entitlement(ann, time).plan_key == "plus"
    time.passes(hours=2)
    assert entitlement(ann, time).reason == Reason.SUBSCRIBED


def test_a_trial_becomes_a_paid_plan_and_there_is_no_second_one(ann, time):
    Plan.objects.filter(key="plus").update(trial_days=14)
    subscription = buy(ann)
    assert (subscription.status, entitlement(ann, time).reason) == ("trialing", Reason.TRIAL)
    time.passes(days=14, hours=3)
    subscription.refresh_from_db()
    assert (subscription.status, entitlement(ann, time).reason) == ("active", Reason.SUBSCRIBED)
    assert sorted(Invoice.objects.values_list("amount_paid", flat=True)) == [0, 2000]
    subscriptions.end_now(subscription=subscription, why="test", now=time.now)
    assert not checkout.may_try(ann, price())


def test_a_failed_payment_is_told_once_and_costs_the_plan_only_after_the_grace(ann, time, mailoutbox):
    subscription = buy_with_a_card_that_fails_later(ann)
    time.passes(days=14, hours=2)
    assert entitlement(ann, time).reason == Reason.GRACE
    assert entitlement(ann, time).plan_key == "plus"
    time.passes(days=4)
    assert [letter.to for letter in mailoutbox] == [[ann.email]]
    assert "/billing/portal" in mailoutbox[0].body
    grace_ends = entitlement(ann, time).grace_until
    assert abs(grace_ends - (subscription.period_end + GRACE)) < timedelta(hours=2)
    time.passes(seconds=(grace_ends - time.now).total_seconds() + 60)
    assert entitlement(ann, time).plan_key == "free"
    time.passes(days=12)
    subscription.refresh_from_db()
    assert subscription.status == "canceled"
    assert len(mailoutbox) == 1


def test_a_renewal_that_the_bank_wants_confirmed_is_confirmed_on_the_way_of_the_letter_and_of_the_banner(
    ann, time, client, mailoutbox
):
    challenged = {"number": "4000002760003184", "expiry": "12/40", "cvc": "123", "challenge": "complete"}
    subscription = come_back(ann, pay(open_checkout(ann), challenged["number"], challenge="complete"))
    time.passes(seconds=(subscription.period_end - time.now).total_seconds() + 7200)
    bill = Invoice.objects.get(status="open")
    assert entitlement(ann, time).reason == Reason.GRACE
    assert f"/billing/invoices/{bill.pk}\n" in mailoutbox[0].body
    client.force_login(ann)
    assert 'href="/billing/pay"' in client.get("/billing/plans").content.decode()
    way = client.get("/billing/pay")
    assert way.url == f"/billing/invoices/{bill.pk}"
    page = client.get(way.url).url
    assert httpx.post(page, data=challenged, timeout=30).status_code < 400
    time.passes(minutes=1)
    assert entitlement(ann, time).reason == Reason.SUBSCRIBED
    assert "No bill of your plan is open." in client.get("/billing/pay", follow=True).content.decode()


def test_who_cancels_what_is_not_paid_is_not_charged_any_more(ann, time):
    subscription = buy_with_a_card_that_fails_later(ann)
    time.passes(days=14, hours=2)
    assert entitlement(ann, time).reason == Reason.GRACE
    subscription.refresh_from_db()
    subscriptions.cancel(subscription=subscription, reason="unused", comment="", wish_id=uuid.uuid4(), now=time.now)
    subscription.refresh_from_db()
    assert (subscription.status, entitlement(ann, time).plan_key) == ("canceled", "free")
    time.passes(days=12)
    assert {invoice.attempt_count for invoice in Invoice.objects.filter(status="open")} == {1}


def test_an_account_that_never_ends_what_is_unpaid_gives_one_grace_and_no_more(ann, time, at_simulated_stripe):
    """Stripe's settings may leave a subscription past due for ever."""
    httpx.post(f"{at_simulated_stripe}/_ctl/after_retries", json={"status": "past_due"}).raise_for_status()
    try:
        subscription = buy_with_a_card_that_fails_later(ann)
        time.passes(days=14, hours=2)
        began = entitlement(ann, time).grace_until
        for _month in range(2):
            subscription.refresh_from_db()
            time.passes(seconds=(subscription.period_end - time.now).total_seconds() + 7200)
            assert entitlement(ann, time).plan_key == "free"
        subscription.refresh_from_db()
        assert subscription.status == "past_due"
        assert subscription.past_due_since + GRACE == began
        assert Invoice.objects.filter(status="open").count() == 3
    finally:
        httpx.post(f"{at_simulated_stripe}/_ctl/after_retries", json={"status": "cancel"}).raise_for_status()


@pytest.mark.parametrize("days_late", [1, 9])
def test_a_new_card_brings_the_plan_back(ann, time, days_late):
    subscription = buy_with_a_card_that_fails_later(ann)
    time.passes(days=14 + days_late, hours=2)
    assert entitlement(ann, time).plan_key == ("plus" if days_late < 7 else "free")
    address = checkout.portal(user=ann, wish_id=uuid.uuid4(), flow="payment_method_update", now=time.now)
    card = {"action": "card", "number": PAID, "expiry": "12/40", "cvc": "123"}
    assert httpx.post(address, data=card, timeout=30).status_code < 400
    time.passes(days=8)
    subscription.refresh_from_db()
    assert subscription.status == "active"
    assert entitlement(ann, time).reason == Reason.SUBSCRIBED


def test_a_cancelled_plan_lasts_to_its_last_second(ann, time):
    subscription = buy(ann)
    subscriptions.cancel(subscription=subscription, reason="unused", comment="", wish_id=uuid.uuid4(), now=time.now)
    subscription.refresh_from_db()
    time.passes(seconds=(subscription.cancels_at - time.now).total_seconds() - 120)
    assert entitlement(ann, time).plan_key == "plus"
    time.passes(minutes=5)
    assert entitlement(ann, time).plan_key == "free"
    assert Subscription.objects.get().status == "canceled"


def test_a_downgrade_comes_with_the_next_period(ann, time):
    subscription = buy(ann, price=price("pro"))
    subscriptions.change(
        subscription=subscription, price=price("plus"), quantity=1, wish_id=uuid.uuid4(), at=time.now, now=time.now
    )
    time.passes(seconds=(subscription.period_end - time.now).total_seconds() - 600)
    assert entitlement(ann, time).plan_key == "pro"
    time.passes(hours=3)
    assert entitlement(ann, time).plan_key == "plus"
    paid = Invoice.objects.order_by("created_at").values_list("amount_paid", flat=True)
    assert list(paid) == [price("pro").unit_amount, price("plus").unit_amount]


def go_down(subscription, wanted, time):
    wish = {"price": wanted, "quantity": 1, "wish_id": uuid.uuid4(), "at": time.now, "now": time.now}
    assert subscriptions.change(subscription=subscription, **wish) == "down"
    subscription.refresh_from_db()


def till_renewed(subscription, time):
    time.passes(seconds=(subscription.period_end - time.now).total_seconds() + 7200)
    subscription.refresh_from_db()


def bills():
    return list(Invoice.objects.order_by("created_at", "number").values_list("amount_paid", flat=True))


def promotion_code(**terms):
    coupon = sdk.api().coupons.create(terms)
    code = f"OURS{uuid.uuid4().hex[:6]}"
    sdk.api().promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": code})
    return code


def test_a_promotion_code_of_some_months_goes_on_counting_after_a_downgrade(ann, time):
    code = promotion_code(percent_off=50, duration="repeating", duration_in_months=3)
    subscription = come_back(ann, pay(open_checkout(ann, price=price("pro")), promotion_code=code))
    go_down(subscription, price("plus"), time)
    for _month in range(3):
        till_renewed(subscription, time)
    assert (entitlement(ann, time).plan_key, bills()) == ("plus", [10_000, 1000, 1000, 2000])
    assert sdk.api().coupons.list().data[0].times_redeemed == 1


def test_a_downgrade_in_the_trial_neither_ends_it_nor_charges_before_its_end(ann, time):
    Plan.objects.filter(key="pro").update(trial_days=14)
    subscription = buy(ann, price=price("pro"))
    ends = subscription.trial_end
    go_down(subscription, price("plus"), time)
    time.passes(days=13)
    subscription.refresh_from_db()
    assert (subscription.status, subscription.trial_end, bills()) == ("trialing", ends, [0])
    assert entitlement(ann, time).plan_key == "pro"
    till_renewed(subscription, time)
    assert (subscription.status, entitlement(ann, time).plan_key, bills()) == ("active", "plus", [0, 2000])


def test_who_goes_down_twice_one_month_after_the_other_gets_the_lower_plan_each_time(ann, time):
    subscription = buy(ann, price=price("pro"))
    for lower in ("team", "plus"):
        go_down(subscription, price(lower), time)
        till_renewed(subscription, time)
        assert entitlement(ann, time).plan_key == lower
    assert bills() == [20_000, 3000, 2000]
    till_renewed(subscription, time)
    assert (entitlement(ann, time).plan_key, subscription.schedule_id) == ("plus", "")


def test_the_card_of_the_subscription_pays_after_a_downgrade_too(ann, time):
    subscription = buy(ann, price=price("pro"))
    nothing = {"invoice_settings": {"default_payment_method": ""}}
    sdk.api().customers.update(subscription.customer.stripe_id, nothing)
    go_down(subscription, price("plus"), time)
    till_renewed(subscription, time)
    assert (subscription.status, bills()) == ("active", [20_000, 2000])


ANOTHER_CARD = "5555555555554444"


def on_the_portals_page(user, time):
    address = checkout.portal(user=user, wish_id=uuid.uuid4(), flow="payment_method_update", now=time.now)
    card = {"action": "card", "number": ANOTHER_CARD, "expiry": "12/40", "cvc": "123"}
    assert httpx.post(address, data=card, timeout=30).status_code < 400


def as_the_customers_default_alone(user, _time):
    """All that Stripe's documentation says of its page for cards."""
    customer_id = user.customer.stripe_id
    card = sdk.api().payment_methods.attach("pm_card_mastercard", {"customer": customer_id})
    sdk.api().customers.update(customer_id, {"invoice_settings": {"default_payment_method": card.id}})


@pytest.mark.parametrize("change_card", [on_the_portals_page, as_the_customers_default_alone])
def test_the_card_that_was_chosen_after_a_downgrade_pays_when_it_comes(ann, time, change_card):
    subscription = buy(ann, price=price("pro"))
    go_down(subscription, price("plus"), time)
    change_card(ann, time)
    for _month in range(2):
        till_renewed(subscription, time)
        (charge,) = stripe_charges(subscription.latest_invoice_id)
        assert (charge.payment_method_details.card.last4, charge.amount) == ("4444", 2000)


def test_the_card_that_was_chosen_on_the_portals_page_pays_from_then_on(ann, time):
    subscription = buy(ann, price=price("plus"))
    on_the_portals_page(ann, time)
    for _month in range(2):
        till_renewed(subscription, time)
        (charge,) = stripe_charges(subscription.latest_invoice_id)
        assert charge.payment_method_details.card.last4 == "4444"


def stripe_charges(invoice_id):
    payment = stripe.payment_of_invoice(invoice_id)
    return list(sdk.pages(sdk.api().charges.list, {"payment_intent": payment}))


REFUND_FAILS = "4000000000005126"


def test_a_refund_that_never_arrives_leaves_the_plan_and_is_made_again_from_the_admin(ann, time, admin_client):
    subscription = come_back(ann, pay(open_checkout(ann), REFUND_FAILS))
    invoice = Invoice.objects.get()
    address = reverse("admin:billing_invoice_changelist")

    def refund():
        chosen = {"action": "refund", "_selected_action": [invoice.pk]}
        said = admin_client.post(address, chosen, follow=True).content.decode()
        invoice.refresh_from_db()
        return said

    for times in (1, 2):
        assert f"{invoice.number} is refunded." in refund()
        assert (invoice.amount_refunded, invoice.refund_failure) == (2000, "")
        assert entitlement(ann, time).plan_key == "free"
        refund()
        assert len(refunds_of(invoice)) == times, "asking twice gives back once"
        time.passes(minutes=2)
        invoice.refresh_from_db()
        assert (invoice.amount_refunded, invoice.refund_failure) == (0, "expired_or_canceled_card")
        assert entitlement(ann, time).plan_key == "plus", "the money is here, so the plan is theirs"
        assert EntitlementChange.objects.latest("id").to_plan == "plus"
        assert "the card has expired or was cancelled" in admin_client.get(address).content.decode()
    subscription.refresh_from_db()
    assert subscription.status == "canceled", "nobody is charged again"
    time.passes(seconds=(subscription.period_end - time.now).total_seconds() + 60)
    assert entitlement(ann, time).plan_key == "free"
    assert record_changes_by_time(now=time.now) == 1
    assert len(refunds_of(invoice)) == 2


def refunds_of(invoice):
    return stripe.refunds_of_payment(stripe.payment_of_invoice(invoice.pk))


def test_a_refund_that_failed_unheard_is_found_at_night(ann, time):
    subscription = come_back(ann, pay(open_checkout(ann), REFUND_FAILS))
    invoice_id = subscription.latest_invoice_id
    subscriptions.refund(invoice_id=invoice_id, subscription=subscription, why="asked", now=time.now)
    httpx.post(f"{time.url}/_ctl/time", json={"seconds": 120}).raise_for_status()
    kinds = ("invoice amount_refunded", "invoice refund_failure")
    found = reconciliation.reconcile(now=time.now)
    assert [drift for drift in found if drift.object_id == invoice_id] == [
        reconciliation.Drift(invoice_id, kind) for kind in kinds
    ]
    assert reconciliation.reconcile(now=time.now) == []
    assert entitlement(ann, time).plan_key == "plus"
