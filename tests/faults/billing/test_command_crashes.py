"""The process dies at any step of anything we ask of Stripe: it is done once in the end, and the row says so.

A step is a statement to the database or a request to Stripe, and the process dies before the one or after the other.
`make test` dies around the requests that change something at Stripe; `FAULTS=long` dies at every step there is.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from datetime import timedelta

import pytest
import requests
from django.db import connection
from django.utils import timezone

from accounts import erasure
from billing import checkout, commands, stripe, subscriptions
from billing.models import Customer, Plan, StripeCommand, TrialMemory, Turn
from billing.stripe import client as sdk
from tests.stack.customers import buy, come_back, newcomer, open_checkout, pay, price

pytestmark = pytest.mark.django_db(transaction=True)

IS_LONG = os.environ.get("FAULTS") == "long"


class Crash(BaseException):
    """The process ends here: nothing catches it."""


class Steps:
    """Names every step that passes; ends the process at step number `fatal`."""

    def __init__(self, fatal=-1):
        self.fatal, self.names = fatal, []

    def take(self, name):
        self.names.append(name)
        if len(self.names) - 1 == self.fatal:
            raise Crash

    def __enter__(self):
        self.real = real = requests.Session.request

        def request(session, method, url, *args, **kwargs):
            self.take(f"before {method.upper()}")
            answer = real(session, method, url, *args, **kwargs)
            self.take(f"after {method.upper()}")
            return answer

        def statement(execute, sql, *rest):
            self.take(f"before {sql.split()[0]}")
            return execute(sql, *rest)

        requests.Session.request = request
        self.database = connection.execute_wrapper(statement)
        self.database.__enter__()
        return self

    def __exit__(self, *error):
        self.database.__exit__(*error)
        requests.Session.request = self.real

    @property
    def worth_dying_at(self):
        changing = [number for number, name in enumerate(self.names) if name.split()[1].upper() in ("POST", "DELETE")]
        return list(range(len(self.names))) if IS_LONG else changing


def become_customer(user, _wish, now):
    checkout.ensure_customer(user, now=now)


def open_the_payment_page(user, wish, now):
    checkout.start(user=user, price=price(), quantity=1, wish_id=wish, language="en", now=now)


def open_the_portal(user, wish, now):
    checkout.portal(user=user, wish_id=wish, flow="", now=now)


def upgrade(user, wish, now):
    if mine(user).plan_id == "plus":
        subscriptions.change(subscription=mine(user), price=price("pro"), quantity=1, wish_id=wish, at=now, now=now)


def downgrade(user, wish, now):
    subscriptions.change(subscription=mine(user), price=price(), quantity=1, wish_id=wish, at=now, now=now)


def take_the_downgrade_back(user, wish, now):
    subscriptions.resume(subscription=mine(user), wish_id=wish, now=now)


def cancel(user, wish, now):
    subscriptions.cancel(subscription=mine(user), reason="unused", comment="", wish_id=wish, now=now)


def take_the_cancellation_back(user, wish, now):
    subscriptions.resume(subscription=mine(user), wish_id=wish, now=now)


def end_at_once(user, _wish, now):
    if mine(user):
        subscriptions.end_now(subscription=mine(user), why="erasure", now=now)


def be_refunded(user, _wish, now):
    subscription = user.customer.subscriptions.get()
    subscriptions.refund(invoice_id=subscription.latest_invoice_id, subscription=subscription, why="asked", now=now)


def choose_another_downgrade(user, wish, now):
    yearly = price("plus", "year")
    subscriptions.change(subscription=mine(user), price=yearly, quantity=1, wish_id=wish, at=now, now=now)


def be_deleted(user, _wish, now):
    commands.delete_customer(user.customer.stripe_id, now=now)
    commands.run_waiting(now=now)


def mine(user):
    return checkout.open_subscription(user)


def nobody(_user):
    pass


def on_pro(user):
    buy(user, price=price("pro"))


def trying_plus(user):
    TrialMemory.objects.all().delete()  # everybody here has the same card
    Plan.objects.filter(key="plus").update(trial_days=7)
    buy(user)
    Plan.objects.filter(key="plus").update(trial_days=0)


def about_to_go_down(user):
    on_pro(user)
    downgrade(user, uuid.uuid4(), timezone.now())


def about_to_end(user):
    buy(user)
    cancel(user, uuid.uuid4(), timezone.now())


DEEDS = [
    (nobody, become_customer),
    (nobody, open_the_payment_page),
    (nobody, open_the_portal),
    (buy, open_the_portal),
    (buy, upgrade),
    (trying_plus, upgrade),
    (on_pro, downgrade),
    (about_to_go_down, choose_another_downgrade),
    (about_to_go_down, take_the_downgrade_back),
    (buy, cancel),
    (about_to_end, take_the_cancellation_back),
    (buy, end_at_once),
    (buy, be_refunded),
    (buy, be_deleted),
]


def prepared(prepare):
    user = newcomer()
    prepare(user)
    return user


def at_stripe(user):
    """What there is and what happened at Stripe for this person: kinds of events, and payment pages by state."""
    customers = [row.id for row in sdk.pages(sdk.api().customers.list, {"email": user.email, "limit": 100})]
    since = int(user.date_joined.timestamp())
    events = sdk.pages(sdk.api().events.list, {"limit": 100, "created": {"gte": since}})
    of_theirs = [event for event in events if about(event.data.object) in customers]
    pages = [page for one in customers for page in sdk.pages(sdk.api().checkout.sessions.list, {"customer": one})]
    return len(customers), Counter(event.type for event in of_theirs), Counter(page.status for page in pages)


def about(thing):
    return thing.id if thing.object == "customer" else getattr(thing, "customer", None)


@pytest.mark.parametrize(
    ("prepare", "deed"), DEEDS, ids=[f"{prepare.__name__}-{deed.__name__}" for prepare, deed in DEEDS]
)
def test_a_crash_at_any_step_leaves_one_of_everything_and_every_command_ends(at_simulated_stripe, prepare, deed):
    healthy = prepared(prepare)
    with Steps() as steps:
        deed(healthy, uuid.uuid4(), timezone.now())
    wanted = at_stripe(healthy)
    assert steps.worth_dying_at
    for turn, step in enumerate(steps.worth_dying_at):
        user, wish, now = prepared(prepare), uuid.uuid4(), timezone.now()
        with pytest.raises(Crash), Steps(fatal=step):
            deed(user, wish, now)
        Turn.objects.update(lapses_at=timezone.now())  # two minutes later
        if turn % 2:  # the clock comes first, or else the person who clicks again
            commands.run_waiting(now=now + timedelta(minutes=5))
        deed(user, wish, now)
        commands.run_waiting(now=now + timedelta(minutes=5))
        assert at_stripe(user) == wanted, f"died at {steps.names[step]}, step {step}"
        assert set(StripeCommand.objects.values_list("state", flat=True)) == {"done"}
        assert Customer.objects.filter(user=user).count() == 1


def test_a_refund_that_a_crash_cut_off_ends_what_it_paid_for_though_nobody_asks_again(at_simulated_stripe):
    healthy = prepared(buy)
    with Steps() as steps:
        be_refunded(healthy, None, timezone.now())
    wanted = at_stripe(healthy)
    for step in steps.worth_dying_at:
        user, now = prepared(buy), timezone.now()
        with pytest.raises(Crash), Steps(fatal=step):
            be_refunded(user, None, now)
        if not StripeCommand.objects.filter(user=user, kind="create_refund").exists():
            continue  # it died before anything was asked
        Turn.objects.update(lapses_at=timezone.now())  # two minutes later
        commands.run_waiting(now=now + timedelta(minutes=5))
        assert at_stripe(user) == wanted, f"died at {steps.names[step]}, step {step}"
        assert set(StripeCommand.objects.values_list("state", flat=True)) == {"done"}


def test_a_payment_page_that_was_asked_for_twice_can_still_be_paid(at_simulated_stripe):
    user, wish = newcomer(), uuid.uuid4()
    first, second = open_checkout(user, wish_id=wish), open_checkout(user, wish_id=wish)
    assert first == second
    assert come_back(user, pay(second)).status == "active"


def test_a_command_whose_answer_was_lost_for_more_than_a_day_is_found_not_repeated(at_simulated_stripe):
    """Stripe forgets keys after a day, so that the key alone would make a second customer."""
    user, now = newcomer(), timezone.now()
    with pytest.raises(Crash), Steps(fatal=last_post(become_customer)):
        become_customer(user, None, now)
    assert commands.run_waiting(now=now + timedelta(days=3)) == 1
    command = StripeCommand.objects.get(user=user)
    assert command.result["id"] == stripe.find_customer(email=user.email, command_id=str(command.pk))
    assert at_stripe(user)[0] == 1


def test_who_leaves_after_a_crash_is_no_customer_in_the_end_and_is_asked_for_nowhere(at_simulated_stripe):
    first = newcomer()
    with Steps() as steps:
        become_customer(first, None, timezone.now())
    for step in steps.worth_dying_at:
        user, now = newcomer(), timezone.now()
        with pytest.raises(Crash), Steps(fatal=step):
            become_customer(user, None, now)
        email, user_id = user.email, str(user.pk)
        erasure.erase(user.pk, now=now)
        assert user_id not in str(list(StripeCommand.objects.values())), steps.names[step]
        commands.run_waiting(now=now + timedelta(hours=1))
        assert not StripeCommand.objects.filter(state="waiting").exists()
        assert not list(sdk.pages(sdk.api().customers.list, {"email": email})), f"died at {steps.names[step]}"


def last_post(deed):
    with Steps() as steps:
        deed(newcomer(), uuid.uuid4(), timezone.now())
    return max(number for number, name in enumerate(steps.names) if name == "after POST")
