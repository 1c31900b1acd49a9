"""Customers' journeys against the simulated Stripe over HTTP: what they pay, get, and get back.

With `STRIPE_SANDBOX_KEY` those that need nothing of the simulated one are made at a real sandbox (docs/billing.md).
"""

import re
import uuid
from functools import partial

import httpx
import pytest
from django.utils import timezone

from accounts.models import User
from billing import catalogue, checkout, commands, mirror, reconciliation, stripe, subscriptions, webhooks
from billing.entitlements import entitlement_of
from billing.models import Customer, EntitlementChange, Invoice, Plan, Price
from billing.stripe import client as sdk
from tests.stack.customers import CHALLENGED, DECLINED, buy, come_back, newcomer, open_checkout, pay, plan_of, price
from tests.stack.stripe_sandbox import only_simulated

# No webhook is sent: every test hears by asking.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("at_stripe")]


@pytest.fixture
def ann():
    return newcomer("ann")


def test_pushing_the_plans_twice_changes_nothing_the_second_time():
    assert catalogue.sync(dry_run=True) == []
    Price.objects.filter(plan="plus", interval="month", currency="usd").update(unit_amount=2100)
    assert [difference.why for difference in catalogue.sync(dry_run=True)] == ["2000 at Stripe"]
    assert len(catalogue.sync()) == 1
    assert catalogue.sync() == []


def test_a_new_database_adopts_what_it_made_at_stripe_before():
    before = {row.lookup_key: row.stripe_price_id for row in Price.objects.all()}
    Plan.objects.update(stripe_product_id="")
    Price.objects.update(stripe_price_id="", stripe_unit_amount=None)
    catalogue.sync()
    assert {row.lookup_key: row.stripe_price_id for row in Price.objects.all()} == before


def test_the_plan_is_there_on_the_way_back_with_no_webhook_at_all(ann):
    assert plan_of(ann) == "free"
    subscription = buy(ann)
    assert (subscription.status, plan_of(ann)) == ("active", "plus")
    assert Invoice.objects.get().total == 2000
    assert EntitlementChange.objects.get(user=ann).cause == "return from Checkout"


def test_a_double_click_opens_one_page_and_makes_one_customer(ann):
    wish = uuid.uuid4()
    first, second = open_checkout(ann, wish_id=wish), open_checkout(ann, wish_id=wish)
    assert first == second
    assert Customer.objects.filter(user=ann).count() == 1


@only_simulated
def test_only_the_newest_of_two_open_pages_can_be_paid(ann):
    old, new = open_checkout(ann), open_checkout(ann)
    assert "location" not in pay(old).headers
    assert come_back(ann, pay(new)).status == "active"


@only_simulated
@pytest.mark.parametrize("hears", ["by coming back", "by an event"])
def test_of_two_pages_that_were_opened_at_once_one_can_be_paid(ann, hears):
    address = open_checkout(ann)
    ours = next(iter(sdk.pages(sdk.api().checkout.sessions.list, {"customer": ann.customer.stripe_id})))
    items = [{"price": price().stripe_price_id, "quantity": 1}]
    wanted = {"mode": "subscription", "customer": ours.customer, "line_items": items, "success_url": ours.success_url}
    other = sdk.api().checkout.sessions.create(wanted)
    answer = pay(address)
    if hears == "by an event":
        hear()
    else:
        come_back(ann, answer)
    assert pay(other.url).status_code not in (302, 303)
    assert len(list(stripe.subscriptions(ann.customer.stripe_id))) == 1


@only_simulated
def test_an_old_purchase_heard_again_leaves_the_page_open_on_which_one_buys_anew(ann):
    first = come_back(ann, pay(open_checkout(ann)))
    sdk.api().subscriptions.cancel(first.stripe_id)
    mirror.refresh_subscription(first.stripe_id, cause="test", now=timezone.now())
    anew = open_checkout(ann)
    hear()
    assert come_back(ann, pay(anew)).status == "active"


def stripes_language_for(user):
    return list(sdk.api().customers.retrieve(user.customer.stripe_id).preferred_locales)


@only_simulated
def test_stripes_pages_letters_and_bills_are_in_the_language_that_a_person_chose_here(ann, client):
    User.objects.filter(pk=ann.pk).update(language="zh-hans")
    ann.refresh_from_db()
    client.force_login(ann)
    plus = {"price": price().pk, "wish": uuid.uuid4()}
    assert "订阅 Plus" in httpx.get(client.post("/billing/checkout", plus).url).text
    assert "您的套餐" in httpx.get(client.post("/billing/portal").url).text
    assert stripes_language_for(ann) == ["zh-CN"]
    buy(ann)
    assert checkout.tell_languages(now=timezone.now()) == 0
    User.objects.filter(pk=ann.pk).update(language="en")
    assert (checkout.tell_languages(now=timezone.now()), commands.run_waiting(now=timezone.now())) == (1, 1)
    assert stripes_language_for(ann) == ["en"]
    mirror.refresh_customer(ann.customer.stripe_id, cause="test", now=timezone.now())
    assert checkout.tell_languages(now=timezone.now()) == 0
    assert "Your plan" in httpx.get(client.post("/billing/portal").url).text


def test_who_has_a_plan_cannot_buy_a_second_one(ann):
    buy(ann)
    with pytest.raises(checkout.CannotCheckOut) as refused:
        open_checkout(ann)
    assert refused.value.code == "subscribed"


@only_simulated
def test_a_declined_card_gives_nothing_and_can_be_retried(ann):
    url = open_checkout(ann)
    assert pay(url, DECLINED).status_code == 402
    assert plan_of(ann) == "free"
    assert come_back(ann, pay(url)).status == "active"


@only_simulated
def test_a_bank_that_asks_back_is_answered_and_a_failed_answer_gives_nothing(ann):
    url = open_checkout(ann)
    assert "location" not in pay(url, CHALLENGED).headers
    assert "location" not in pay(url, CHALLENGED, challenge="fail").headers
    assert plan_of(ann) == "free"
    assert come_back(ann, pay(url, CHALLENGED, challenge="complete")).status == "active"


@only_simulated
def test_somebody_elses_way_back_gives_nothing(ann):
    bob = User.objects.create_user("bob@example.org")
    answer = pay(open_checkout(ann))
    assert come_back(bob, answer) is None
    assert plan_of(bob) == "free"


def test_the_second_of_two_clicks_says_what_the_first_did(ann):
    subscription = buy(ann)
    now = timezone.now().replace(microsecond=0)
    change = partial(subscriptions.change, subscription=subscription, wish_id=uuid.uuid4(), at=now, now=now)
    assert [change(price=price("pro"), quantity=1) for _click in range(2)] == [subscriptions.Direction.UP] * 2
    change = partial(subscriptions.change, subscription=subscription, wish_id=uuid.uuid4(), at=now, now=now)
    assert [change(price=price(), quantity=1) for _click in range(2)] == [subscriptions.Direction.DOWN] * 2


def test_the_preview_of_an_upgrade_is_the_invoice_to_the_cent(ann):
    subscription = buy(ann)
    now = timezone.now().replace(microsecond=0)
    shown = subscriptions.preview(subscription=subscription, price=price("pro"), quantity=1, now=now)
    subscriptions.change(
        subscription=subscription, price=price("pro"), quantity=1, wish_id=uuid.uuid4(), at=now, now=now
    )
    subscription.refresh_from_db()
    assert plan_of(ann) == "pro"
    invoice = Invoice.objects.get(pk=subscription.latest_invoice_id)
    assert (invoice.total, invoice.status) == (shown.due, "paid")
    assert shown.due == sum(amount for _text, amount in shown.lines)


@pytest.mark.parametrize("is_dearer", [False, True], ids=["as shown", "dearer meanwhile"])
def test_what_is_confirmed_is_what_was_shown_or_nothing(ann, client, is_dearer):
    buy(ann)
    client.force_login(ann)
    pro = price("pro")
    shown = client.get("/billing/change", {"price": pro.pk}).content.decode()
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', shown))
    if is_dearer:
        Price.objects.filter(pk=pro.pk).update(unit_amount=pro.unit_amount + 100)
    answer = client.post("/billing/change/confirm", hidden, follow=True)
    assert plan_of(ann) == ("plus" if is_dearer else "pro")
    text = answer.content.decode()
    assert ("The price has changed since you looked." in text) == is_dearer
    assert Invoice.objects.filter(customer__user=ann).count() == (1 if is_dearer else 2)


@only_simulated
@pytest.mark.parametrize("interval", ["month", "year"])
def test_a_promotion_code_and_a_tax_id_hold_on_our_way_too(ann, interval):
    coupon = sdk.api().coupons.create({"percent_off": 30, "duration": "forever"})
    code = f"OURS{uuid.uuid4().hex[:6]}"
    sdk.api().promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": code})
    business = {"business_name": "Ann GmbH", "tax_id_type": "eu_vat", "tax_id": "DE123456789"}
    subscription = come_back(ann, pay(open_checkout(ann), promotion_code=code, **business))
    first = Invoice.objects.get(pk=subscription.latest_invoice_id)
    assert (first.total, first.amount_paid) == (1400, 1400)
    assert "DE123456789" in httpx.get(stripe.retrieve_invoice(first.stripe_id).page_url).text
    now = timezone.now().replace(microsecond=0)
    pro = price("pro", interval)
    shown = subscriptions.preview(subscription=subscription, price=pro, quantity=1, now=now)
    subscriptions.change(subscription=subscription, price=pro, quantity=1, wish_id=uuid.uuid4(), at=now, now=now)
    subscription.refresh_from_db()
    assert Invoice.objects.get(pk=subscription.latest_invoice_id).total == shown.due
    assert shown.due == sum(amount for _text, amount in shown.lines)
    # A new period shows the discount by itself; in a part of one it is in the amounts.
    assert ("Discount" in [text for text, _amount in shown.lines]) == (interval == "year")


def test_a_downgrade_waits_for_the_end_of_the_period_and_can_be_taken_back(ann):
    subscription = buy(ann, price=price("pro"))
    now = timezone.now()
    direction = subscriptions.change(
        subscription=subscription, price=price(), quantity=1, wish_id=uuid.uuid4(), at=now, now=now
    )
    subscription.refresh_from_db()
    assert (direction, plan_of(ann), subscription.next_price_id) == ("down", "pro", price().stripe_price_id)
    subscriptions.resume(subscription=subscription, wish_id=uuid.uuid4(), now=now)
    subscription.refresh_from_db()
    assert (subscription.next_price_id, subscription.schedule_id) == ("", "")


@pytest.mark.parametrize(
    ("offer", "seats", "direction"),
    [(("team", "year"), 2, "down"), (("team", "year"), 3, "up"), (("pro", "year"), 1, "down")],
)
def test_no_seat_that_is_paid_for_goes_before_the_end_of_the_period(ann, offer, seats, direction):
    subscription = buy(ann, price=price("team"), quantity=3)
    shown = subscriptions.preview(subscription=subscription, price=price(*offer), quantity=seats, now=timezone.now())
    assert shown.direction == direction


def test_a_cancelled_plan_stays_until_it_runs_out_and_can_be_resumed(ann):
    subscription = buy(ann)
    now = timezone.now()
    subscriptions.cancel(subscription=subscription, reason="unused", comment="", wish_id=uuid.uuid4(), now=now)
    subscription.refresh_from_db()
    assert subscription.cancels_at == subscription.period_end
    assert plan_of(ann) == "plus"
    assert entitlement_of(ann, now=subscription.period_end).plan_key == "free"
    # A year that is paid for now would end with the month.
    yearly = {"subscription": subscription, "price": price("plus", "year"), "quantity": 1}
    with pytest.raises(subscriptions.CannotChange, match="cancelled"):
        subscriptions.preview(**yearly, now=now)
    with pytest.raises(subscriptions.CannotChange, match="cancelled"):
        subscriptions.change(**yearly, wish_id=uuid.uuid4(), at=now, now=now)
    subscriptions.resume(subscription=subscription, wish_id=uuid.uuid4(), now=now)
    subscription.refresh_from_db()
    assert subscription.cancels_at is None
    assert subscriptions.preview(**yearly, now=now).due > 0


def test_a_full_refund_ends_what_it_paid_for_and_is_made_once(ann):
    subscription = buy(ann)
    invoice_id = subscription.latest_invoice_id
    for _again in range(2):
        subscriptions.refund(invoice_id=invoice_id, subscription=subscription, why="asked", now=timezone.now())
    assert Invoice.objects.get(pk=invoice_id).amount_refunded == 2000
    assert plan_of(ann) == "free"
    assert checkout.open_subscription(ann) is None, "it is not billed again, and another can be bought"


def test_a_refund_of_what_an_upgrade_built_on_ends_the_upgrade_too(ann):
    subscription = buy(ann)
    first, now = subscription.latest_invoice_id, timezone.now().replace(microsecond=0)
    wish = {"subscription": subscription, "price": price("pro"), "quantity": 1}
    subscriptions.change(**wish, wish_id=uuid.uuid4(), at=now, now=now)
    assert plan_of(ann) == "pro"
    sdk.api().refunds.create({"payment_intent": stripe.payment_of_invoice(first)})
    hear()
    assert plan_of(ann) == "free"
    subscription.refresh_from_db()
    with pytest.raises(subscriptions.CannotChange) as refused:
        subscriptions.preview(subscription=subscription, price=price("pro", "year"), quantity=1, now=now)
    assert refused.value.code == "given_back"


def hear():
    webhooks.backfill(now=timezone.now())
    webhooks.process_waiting(now=timezone.now)


def contest(stripe_url, subscription):
    """Have the payer's bank take the money of the newest bill back; returns the dispute's address."""
    charge = stripe.charges_of_payment(stripe.payment_of_invoice(subscription.latest_invoice_id))[0]
    made = httpx.post(f"{stripe_url}/_ctl/disputes/{charge.id}")
    assert made.status_code == 200
    return f"{stripe_url}/_ctl/disputes/{made.json()['id']}"


@only_simulated
def test_a_disputed_payment_freezes_the_plan_until_the_bank_decides_for_us(ann, stripe_url):
    dispute = contest(stripe_url, buy(ann))
    hear()
    assert plan_of(ann) == "free"
    httpx.post(f"{dispute}/decide", json={"won": True}).raise_for_status()
    hear()
    assert plan_of(ann) == "plus"


@only_simulated
def test_a_bank_that_only_asks_takes_no_plan_away(ann):
    come_back(ann, pay(open_checkout(ann), "4000000000001976"))
    hear()
    assert plan_of(ann) == "plus"


@only_simulated
def test_who_cancels_what_is_frozen_is_rid_of_it_at_once_and_can_buy_anew(ann, stripe_url):
    subscription = buy(ann)
    contest(stripe_url, subscription)
    hear()
    subscriptions.cancel(
        subscription=subscription, reason="unused", comment="", wish_id=uuid.uuid4(), now=timezone.now()
    )
    assert checkout.open_subscription(ann) is None
    buy(ann)
    assert plan_of(ann) == "plus"


@only_simulated
def test_money_that_went_back_unheard_is_found_by_reconciliation(ann, stripe_url):
    subscription = buy(ann)
    invoice_id = subscription.latest_invoice_id
    now = timezone.now()
    dispute = contest(stripe_url, subscription)
    assert reconciliation.reconcile(now=now) == [reconciliation.Drift(invoice_id, "invoice is_disputed")]
    assert (plan_of(ann), reconciliation.reconcile(now=now)) == ("free", [])
    httpx.post(f"{dispute}/decide", json={"won": True}).raise_for_status()
    assert reconciliation.reconcile(now=now) == [reconciliation.Drift(invoice_id, "invoice is_disputed")]
    assert (plan_of(ann), reconciliation.reconcile(now=now)) == ("plus", [])
    sdk.api().refunds.create({"payment_intent": stripe.payment_of_invoice(invoice_id)})
    assert reconciliation.reconcile(now=now) == [reconciliation.Drift(invoice_id, "invoice amount_refunded")]
    assert (plan_of(ann), reconciliation.reconcile(now=now)) == ("free", [])
