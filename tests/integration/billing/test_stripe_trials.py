"""Trials at the simulated Stripe over HTTP: once a person, once a card, and what an upgrade makes of them."""

import uuid
from contextlib import suppress
from datetime import timedelta
from functools import partial

import httpx
import pytest
from django.utils import timezone

from billing import checkout, commands, mirror, stripe, subscriptions, tasks, trials
from billing.models import Invoice, Plan, StripeCommand
from billing.stripe import client as sdk
from tests.stack.customers import buy, come_back, newcomer, open_checkout, pay, plan_of, price
from tests.stack.stripe_sandbox import only_simulated

# No webhook is sent: every test hears by asking.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("at_stripe")]


@pytest.fixture
def ann():
    return newcomer("ann")


def test_a_trial_is_given_once_in_a_life(ann):
    Plan.objects.filter(key="plus").update(trial_days=7)
    assert checkout.may_try(ann, price())
    subscription = buy(ann)
    assert subscription.status == "trialing"
    assert not checkout.may_try(ann, price())
    subscriptions.end_now(subscription=subscription, why="test", now=timezone.now())
    assert plan_of(ann) == "free"
    assert buy(ann).status == "active"


@pytest.fixture
def tried():
    """Plus has a trial, and somebody has begun one with the usual card."""
    Plan.objects.filter(key="plus").update(trial_days=7)
    user = newcomer("tried")
    assert buy(user).status == "trialing"
    return user


@only_simulated
def test_a_second_trial_with_the_same_card_gives_nothing_and_costs_nothing(ann, tried, client):
    client.force_login(ann)
    page = client.get(pay(open_checkout(ann)).headers["location"])
    assert "This card has had a trial here" in page.content.decode()
    refused = ann.customer.subscriptions.get()
    assert (refused.status, plan_of(ann), plan_of(tried)) == ("canceled", "free", "plus")
    assert [bill.total for bill in sdk.api().invoices.list({"customer": ann.customer.stripe_id}).data] == [0]
    assert not checkout.may_try(ann, price())
    assert (buy(ann).status, plan_of(ann)) == ("active", "plus")
    other = newcomer("other")
    assert come_back(other, pay(open_checkout(other), expiry="11/35")).status == "trialing"


@only_simulated
def test_who_does_not_come_back_has_no_second_trial_either(ann, tried, stripe_url):
    pay(open_checkout(ann))
    [facts] = stripe.subscriptions(ann.customer.stripe_id)
    for _time in range(2):
        subscription = mirror.refresh_subscription(facts.id, cause="event", now=timezone.now())
        assert (subscription.status, plan_of(ann)) == ("trialing", "free")
    for _other_wish in range(2):
        commands.supersede(facts.id, wish="another", now=timezone.now())
        mirror.decide_trials(now=timezone.now())
    assert commands.run_waiting(now=timezone.now()) == 1
    assert mirror.refresh_subscription(facts.id, cause="event", now=timezone.now()).status == "canceled"


@only_simulated
def test_a_refused_trial_that_was_paid_for_meanwhile_is_not_ended(ann, tried):
    pay(open_checkout(ann))
    [facts] = stripe.subscriptions(ann.customer.stripe_id)
    refused = mirror.refresh_subscription(facts.id, cause="event", now=timezone.now())
    for ask in (subscriptions.preview, partial(subscriptions.change, wish_id=uuid.uuid4(), at=timezone.now())):
        with pytest.raises(subscriptions.CannotChange, match="not_open"):
            ask(subscription=refused, price=price("pro"), quantity=1, now=timezone.now())
    mirror.refresh_subscription(facts.id, cause="event", now=timezone.now())
    sdk.api().subscriptions.update(facts.id, {"trial_end": "now"})
    assert commands.run_waiting(now=timezone.now()) == 1
    assert mirror.refresh_subscription(facts.id, cause="event", now=timezone.now()).status == "active"
    assert plan_of(ann) == "plus"
    assert StripeCommand.objects.get(key__startswith=trials.REFUSED).error_code == commands.UNWANTED


@only_simulated
def test_free_time_that_staff_give_at_stripe_is_no_second_trial(ann, tried):
    pay(open_checkout(ann))
    [facts] = stripe.subscriptions(ann.customer.stripe_id)
    mirror.refresh_subscription(facts.id, cause="event", now=timezone.now())
    commands.run_waiting(now=timezone.now())
    free = {"items": [{"price": price().stripe_price_id}], "trial_period_days": 40}
    made = sdk.api().subscriptions.create({"customer": ann.customer.stripe_id, **free})
    given = mirror.refresh_subscription(made.id, cause="event", now=timezone.now())
    assert (given.status, given.trial_standing, plan_of(ann)) == ("trialing", "given", "plus")


@only_simulated
def test_a_trial_whose_card_cannot_be_asked_for_goes_on_until_it_can(ann, tried, stripe_url):
    away = {"kind": "unavailable", "path": "/v1/payment_methods", "method": "GET", "times": 3}
    httpx.post(f"{stripe_url}/_ctl/faults", json=away).raise_for_status()
    assert come_back(ann, pay(open_checkout(ann))).status == "trialing"
    assert plan_of(ann) == "plus"
    mirror.decide_trials(now=timezone.now())
    assert (plan_of(ann), plan_of(tried)) == ("free", "plus")


@only_simulated
def test_a_trial_of_which_stripe_refuses_to_speak_does_not_keep_the_others_undecided(ann, tried, stripe_url, caplog):
    odd = {"stripe_id": "sub_of/nobody", "status": "trialing", "started_at": timezone.now()}
    tried.customer.subscriptions.create(**odd)
    away = {"kind": "unavailable", "path": "/v1/payment_methods", "method": "GET", "times": 3}
    httpx.post(f"{stripe_url}/_ctl/faults", json=away).raise_for_status()
    assert come_back(ann, pay(open_checkout(ann))).status == "trialing"
    assert plan_of(ann) == "plus"
    tasks.reconcile()
    assert (plan_of(ann), plan_of(tried)) == ("free", "plus")
    assert "Stripe says nothing of the trial sub_of/nobody" in caplog.text


def test_an_upgrade_ends_the_trial_and_is_paid_in_full_as_the_preview_said(ann):
    Plan.objects.filter(key="plus").update(trial_days=7)
    subscription = buy(ann)
    wish = {"subscription": subscription, "price": price("pro"), "quantity": 1}
    now = timezone.now().replace(microsecond=0)
    shown = subscriptions.preview(**wish, now=now)
    assert (shown.due, shown.ends_trial) == (20_000, True)
    subscriptions.change(**wish, wish_id=uuid.uuid4(), at=now, now=now)
    subscription.refresh_from_db()
    assert (subscription.status, plan_of(ann)) == ("active", "pro")
    assert Invoice.objects.get(pk=subscription.latest_invoice_id).amount_paid == shown.due
    assert subscription.period_end - subscription.period_start > timedelta(days=27)


@only_simulated
def test_an_upgrade_out_of_a_trial_that_is_not_paid_leaves_the_trial_as_it_was(ann):
    Plan.objects.filter(key="plus").update(trial_days=7)
    subscription = come_back(ann, pay(open_checkout(ann), "4000000000000341"))
    ends = subscription.period_end
    now = timezone.now().replace(microsecond=0)
    with suppress(subscriptions.CannotChange):
        subscriptions.change(
            subscription=subscription, price=price("pro"), quantity=1, wish_id=uuid.uuid4(), at=now, now=now
        )
    mirror.refresh_subscription(subscription.pk, cause="test", now=now)
    subscription.refresh_from_db()
    assert (subscription.status, plan_of(ann), subscription.period_end) == ("trialing", "plus", ends)
