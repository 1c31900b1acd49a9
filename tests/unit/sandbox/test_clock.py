"""What time does to subscriptions in the simulated Stripe."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.sandbox.account import Account
from billing.sandbox.clock import move
from billing.sandbox.errors import APIError
from billing.sandbox.events import Events
from billing.sandbox.resources import (
    cards,
    catalogue,
    checkout,
    coupons,
    customers,
    invoice_actions,
    schedules,
    subscription_changes,
    subscriptions,
    test_clocks,
)
from billing.sandbox.store import Store

DAY = 86_400
START = datetime(2027, 1, 31, 12, tzinfo=UTC)
GOOD, FAILS_LATER = "4242424242424242", "4000000000000341"


@pytest.fixture
def account():
    store = Store(":memory:")
    account = Account(store, Events(store, None), "http://127.0.0.1")
    move(account, int(START.timestamp()))
    return account


@pytest.fixture
def price(account):
    return make_price(account, 2000)


def make_price(account, amount, interval="month"):
    product = catalogue.create_product(account, {"name": "Plus"})
    values = {"product": product["id"], "currency": "usd", "unit_amount": amount, "recurring": {"interval": interval}}
    return catalogue.create_price(account, values)


def subscribe(account, price, number=GOOD, test_clock=None, **more):
    customer = customers.create(account, {"email": "ann@example.org", "test_clock": test_clock})
    card = cards.create_card(account, number=number, month=12, year=2040, customer=customer["id"])
    given = {"quantity": 1, "metadata": {}, **more}
    return subscriptions.begin(account, customer=customer["id"], price=price, method=card, **given)


def pass_time(account, **duration):
    return move(account, account.now() + int(timedelta(**duration).total_seconds()))


def fresh(account, subscription):
    return account.store.get("subscription", subscription["id"])


def invoices_of(account):
    return list(reversed(account.store.all("invoice")))


def kinds(account):
    return [event["type"] for event in reversed(account.store.all("event"))]


def period(subscription):
    item = subscription["items"]["data"][0]
    return [
        datetime.fromtimestamp(item[f"current_period_{end}"], tz=UTC).date().isoformat() for end in ("start", "end")
    ]


def test_a_year_of_months_keeps_the_day_it_began_on(account, price):
    subscription = subscribe(account, price)
    ends = []
    for _month in range(12):
        ends.append(period(fresh(account, subscription))[1])
        move(account, fresh(account, subscription)["items"]["data"][0]["current_period_end"] + 2 * 3600)
    assert ends == [
        "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30", "2027-07-31",
        "2027-08-31", "2027-09-30", "2027-10-31", "2027-11-30", "2027-12-31", "2028-01-31",
    ]  # fmt: skip
    assert [invoice["amount_paid"] for invoice in invoices_of(account)] == [2000] * 13


def test_one_long_step_is_the_same_as_many_short_ones(account, price):
    subscribe(account, price)
    pass_time(account, days=400)
    long = [(one["created"], one["number"][-4:], one["status"]) for one in invoices_of(account)]
    store = Store(":memory:")
    other = Account(store, Events(store, None), "http://127.0.0.1")
    move(other, int(START.timestamp()))
    subscribe(other, make_price(other, 2000))
    for _day in range(400):
        pass_time(other, days=1)
    short = [(one["created"], one["number"][-4:], one["status"]) for one in invoices_of(other)]
    assert [status for _at, _number, status in long] == ["paid"] * 14
    # Making the objects takes real seconds, which are part of the time.
    assert all(
        abs(one[0] - another[0]) <= 5 and one[1:] == another[1:] for one, another in zip(long, short, strict=True)
    )


def test_a_renewal_is_a_draft_for_an_hour_and_then_paid(account, price):
    subscription = subscribe(account, price)
    move(account, subscription["items"]["data"][0]["current_period_end"] + 60)
    renewal = invoices_of(account)[-1]
    assert (renewal["status"], renewal["billing_reason"]) == ("draft", "subscription_cycle")
    pass_time(account, hours=1)
    assert account.store.get("invoice", renewal["id"])["status"] == "paid"
    tail = kinds(account)[-8:]
    assert tail[0] == "customer.subscription.updated"
    assert tail[1] == "invoice.finalized"
    assert tail[-2:] == ["invoice.paid", "invoice.payment_succeeded"]


def test_a_failed_renewal_is_tried_four_times_and_then_ends_the_subscription(account, price):
    subscription = subscribe(account, price)
    card = account.store.get("payment_method", subscription["default_payment_method"])
    account.store.save({**card, "metadata": {"simulated_behaviour": "declined_when_charged"}})
    renewal_at = subscription["items"]["data"][0]["current_period_end"]
    move(account, renewal_at + 2 * 3600)
    assert fresh(account, subscription)["status"] == "past_due"
    tries = []
    for _day in range(20):
        pass_time(account, days=1)
        tries.append(invoices_of(account)[1]["attempt_count"])
    assert [tries.index(count) + 1 for count in (2, 3, 4)] == [3, 8, 15]
    ended = fresh(account, subscription)
    assert ended["status"] == "canceled"
    assert ended["cancellation_details"]["reason"] == "payment_failed"
    assert kinds(account).count("invoice.payment_failed") == 4


def test_a_new_card_saves_it(account, price):
    subscription = subscribe(account, price)
    card = account.store.get("payment_method", subscription["default_payment_method"])
    account.store.save({**card, "metadata": {"simulated_behaviour": "declined_when_charged"}})
    move(account, subscription["items"]["data"][0]["current_period_end"] + 2 * 3600)
    invoice = invoices_of(account)[-1]
    with pytest.raises(APIError):
        invoice_actions.pay(account, {}, invoice["id"])
    good = cards.create_card(account, number=GOOD, month=12, year=2040, customer=subscription["customer"])
    subscription_changes.update(account, {"default_payment_method": good["id"]}, subscription["id"])
    assert invoice_actions.pay(account, {}, invoice["id"])["status"] == "paid"
    assert fresh(account, subscription)["status"] == "active"
    pass_time(account, days=20)
    assert fresh(account, subscription)["status"] == "active"


def test_a_trial_is_announced_once_ends_and_is_paid(account, price):
    subscription = subscribe(account, price, trial_days=14)
    pass_time(account, days=10)
    assert "customer.subscription.trial_will_end" not in kinds(account)
    for _step in range(3):
        pass_time(account, days=1)
    assert kinds(account).count("customer.subscription.trial_will_end") == 1
    assert fresh(account, subscription)["status"] == "trialing"
    pass_time(account, days=1, hours=2)
    assert fresh(account, subscription)["status"] == "active"
    assert [invoice["amount_paid"] for invoice in invoices_of(account)] == [0, 2000]


def test_a_cancelled_plan_ends_with_its_period_and_costs_no_more(account, price):
    subscription = subscribe(account, price)
    subscription_changes.update(account, {"cancel_at_period_end": "true"}, subscription["id"])
    pass_time(account, days=27)
    assert fresh(account, subscription)["status"] == "active"
    pass_time(account, days=2)
    assert fresh(account, subscription)["status"] == "canceled"
    assert len(invoices_of(account)) == 1


def test_a_scheduled_downgrade_takes_over_at_the_end_of_the_period(account, price):
    subscription = subscribe(account, price)
    cheap = make_price(account, 500)
    schedule = schedules.create(account, {"from_subscription": subscription["id"]})
    end = subscription["items"]["data"][0]["current_period_end"]
    card = {"default_payment_method": subscription["default_payment_method"]}
    phases = [
        {"items": [{"price": price["id"]}], "start_date": subscription["created"], "end_date": end, **card},
        {"items": [{"price": cheap["id"]}], **card},
    ]
    schedules.update(account, {"phases": phases}, schedule["id"])
    move(account, end + 2 * 3600)
    after = fresh(account, subscription)
    assert after["items"]["data"][0]["price"]["id"] == cheap["id"]
    assert after["schedule"] == schedule["id"]
    assert invoices_of(account)[-1]["amount_paid"] == 500
    move(account, after["items"]["data"][0]["current_period_end"])
    assert fresh(account, subscription)["schedule"] is None
    assert account.store.get("subscription_schedule", schedule["id"])["status"] == "released"


@pytest.mark.parametrize("is_said", [True, False], ids=["repeated", "left out"])
def test_what_a_phase_leaves_out_is_unset_on_the_subscription(account, price, is_said):
    coupon = coupons.create(account, {"percent_off": "50", "duration": "forever"})
    redeem = {"discounts": [{"coupon": coupon["id"]}], "trial_period_days": "7", "description": "Ours"}
    customer = customers.create(account, {"email": "ann@example.org"})["id"]
    card = cards.create_card(account, number=GOOD, month=12, year=2040, customer=customer)["id"]
    wanted = {"customer": customer, "default_payment_method": card, "items": [{"price": price["id"]}], **redeem}
    subscription = subscriptions.create(account, wanted)
    schedule = schedules.create(account, {"from_subscription": subscription["id"]})
    present = schedule["phases"][0]
    said = {"items": [{"price": price["id"]}], "start_date": present["start_date"], "end_date": present["end_date"]}
    kept = {name: present[name] for name in ("discounts", "trial_end", "default_payment_method", "description")}
    schedules.update(account, {"phases": [said | kept if is_said else said]}, schedule["id"])
    after = fresh(account, subscription)
    assert (len(after["discounts"]), after["description"]) == ((1, "Ours") if is_said else (0, None))
    assert (after["status"], after["default_payment_method"]) == (("trialing", card) if is_said else ("active", None))


def test_the_present_phase_begins_when_it_began(account, price):
    schedule = schedules.create(account, {"from_subscription": subscribe(account, price)["id"]})
    late = {"items": [{"price": price["id"]}], "start_date": schedule["phases"][0]["start_date"] + 60}
    with pytest.raises(APIError, match="start date of the current phase"):
        schedules.update(account, {"phases": [late]}, schedule["id"])


def test_prorations_wait_for_the_next_invoice(account, price):
    subscription = subscribe(account, price)
    dear = make_price(account, 6000)
    item = subscription["items"]["data"][0]
    middle = (item["current_period_start"] + item["current_period_end"]) // 2
    move(account, middle)
    wanted = {"items": [{"id": item["id"], "price": dear["id"]}], "proration_date": str(middle)}
    subscription_changes.update(account, wanted, subscription["id"])
    assert len(invoices_of(account)) == 1
    move(account, item["current_period_end"] + 2 * 3600)
    assert invoices_of(account)[-1]["amount_paid"] == 6000 + (6000 - 2000) // 2


def test_what_a_downgrade_gives_back_is_credit_for_the_next_invoice(account, price):
    subscription = subscribe(account, make_price(account, 6000))
    item = subscription["items"]["data"][0]
    middle = (item["current_period_start"] + item["current_period_end"]) // 2
    move(account, middle)
    wanted = {
        "items": [{"id": item["id"], "price": price["id"]}],
        "proration_behavior": "always_invoice",
        "proration_date": str(middle),
    }
    subscription_changes.update(account, wanted, subscription["id"])
    assert customers.retrieve(account, {}, subscription["customer"])["balance"] == -2000
    move(account, item["current_period_end"] + 2 * 3600)
    renewal = invoices_of(account)[-1]
    assert (renewal["total"], renewal["starting_balance"], renewal["amount_paid"]) == (2000, -2000, 0)
    assert customers.retrieve(account, {}, subscription["customer"])["balance"] == 0


def test_an_open_checkout_expires_after_a_day(account, price):
    customer = customers.create(account, {"email": "ann@example.org"})
    values = {
        "mode": "subscription",
        "customer": customer["id"],
        "line_items": [{"price": price["id"], "quantity": 1}],
        "success_url": "http://127.0.0.1/",
    }
    session = checkout.create(account, values)
    pass_time(account, hours=23)
    assert checkout.retrieve(account, {}, session["id"])["status"] == "open"
    pass_time(account, hours=2)
    assert checkout.retrieve(account, {}, session["id"])["status"] == "expired"
    assert "checkout.session.expired" in kinds(account)


def test_a_test_clock_moves_its_own_customers_and_never_back(account, price):
    others = subscribe(account, price)
    start = account.now() - 1000 * DAY
    clock = test_clocks.create(account, {"frozen_time": str(start)})
    with test_clocks.time_of(account, iter([clock["id"]])):
        assert account.now() == start
        subscription = subscribe(account, price, test_clock=clock["id"])
    assert (subscription["created"], subscription["test_clock"]) == (start, clock["id"])
    moved = test_clocks.advance(account, {"frozen_time": str(start + 40 * DAY)}, clock["id"])
    assert (moved["frozen_time"], moved["status"]) == (start + 40 * DAY, "ready")
    cycles = [one for one in invoices_of(account) if one["billing_reason"] == "subscription_cycle"]
    assert [(one["customer"], one["status"]) for one in cycles] == [(subscription["customer"], "paid")]
    pass_time(account, days=40)
    assert fresh(account, others)["items"]["data"][0]["current_period_start"] > others["created"]
    assert len(account.store.all("invoice", customer=subscription["customer"])) == 2
    with pytest.raises(APIError, match="after the current"):
        test_clocks.advance(account, {"frozen_time": str(start + 39 * DAY)}, clock["id"])
    test_clocks.delete(account, {}, clock["id"])
    assert fresh(account, subscription)["status"] == "canceled"


def test_events_carry_the_time_at_which_they_happened(account, price):
    subscription = subscribe(account, price)
    end = subscription["items"]["data"][0]["current_period_end"]
    pass_time(account, days=60)
    paid = [event["created"] for event in account.store.all("event") if event["type"] == "invoice.paid"]
    assert end + 3600 in paid
    assert next(one for one in invoices_of(account) if one["billing_reason"] == "subscription_cycle")["created"] == end
