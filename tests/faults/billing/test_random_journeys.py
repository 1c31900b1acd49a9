"""Customers who do whatever comes to their mind, for months: after every step our rows are what Stripe has.

Hypothesis draws the journeys: buy with good, declined and challenged cards, trials, seats, up, down, cancel, take it
back, refunds, disputes, new cards, deeds of staff in Stripe's own dashboard, and time that passes. After each step the
simulated Stripe is read by this test itself, from plain JSON, and compared with our copies and with the plan that the
person has; events arrive late, twice and in any order. `JOURNEYS` (5) journeys of at most `JOURNEY_STEPS` (12) steps.
"""

from __future__ import annotations

import inspect
import os
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.models import User
from billing import checkout, entitlements, reconciliation, stripe, subscriptions, webhooks
from billing.entitlements import GRACE, entitlement_of
from billing.models import Customer, EntitlementChange, Invoice, Plan, Subscription, TrialMemory
from tests.stack.customers import CHALLENGED, DECLINED, PAID, newcomer, open_checkout, pay, price
from tests.stack.simulated_stripe import KEY

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

JOURNEYS = int(os.environ.get("JOURNEYS", "5"))
STEPS = int(os.environ.get("JOURNEY_STEPS", "12"))
FAILS_WHEN_CHARGED = "4000000000000341"
OPEN = ("active", "trialing", "past_due", "unpaid", "paused")
DRAFT = timedelta(hours=1)
DAYS_THAT_EVENTS_ARE_TOLD = 30

chances = st.integers(0, 999).map(random.Random)


Possible = Callable[["Journey"], bool]
Deed = Callable[..., None]
DEEDS: list[tuple[Possible, Deed]] = []


def deed(can_be: Possible = lambda _self: True) -> Callable[[Deed], Deed]:
    """What may happen in a step, where it can be.

    Not Hypothesis's own rules and preconditions: journeys begin at different dates, so that the same steps lead to
    months of other lengths, and what is drawn must not depend on where they led.
    """

    def listed(happens: Deed) -> Deed:
        DEEDS.append((can_be, happens))
        return happens

    return listed


def moment(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, tz=UTC) if seconds else None


class Journey(RuleBasedStateMachine):
    """One person, from no account at Stripe to wherever the journey leads."""

    url: str  # of the simulated Stripe; set by the test

    def __init__(self) -> None:
        super().__init__()
        self.api = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
        self.user = newcomer("journey")
        self.has_tried = False
        self.heard_until = self.now = self._passes(0)

    def teardown(self) -> None:
        self.api.close()

    # What Stripe knows, read by ourselves --------------------------------------------------------------------------

    def _listed(self, path: str, **wanted: Any) -> list[dict[str, Any]]:
        """All pages of a list, oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.api.get(path, params={"limit": 100, **wanted}).raise_for_status().json()
            found += page["data"]
            if not page["has_more"]:
                return found[::-1]
            wanted["starting_after"] = found[-1]["id"]

    @property
    def customer(self) -> Customer | None:
        return Customer.objects.filter(user=self.user).first()

    def theirs(self, path: str, **wanted: Any) -> list[dict[str, Any]]:
        return self._listed(path, customer=self.customer.stripe_id, **wanted) if self.customer else []

    @property
    def subscription(self) -> Subscription:
        return Subscription.objects.open().get(customer__user=self.user)

    @property
    def may_change(self) -> bool:
        mine = Subscription.objects.filter(customer__user=self.user, status__in=["active", "trialing"])
        return mine.exists()

    def owed(self) -> str:
        """The plan that Stripe's objects give right to, by the rules that the plans page promises."""
        plans = {row.stripe_product_id: row for row in Plan.objects.exclude(stripe_product_id="")}
        given = ["free"]
        for one in self.theirs("/v1/subscriptions", status="all"):
            item = one["items"]["data"][0]
            began = moment(self._oldest_unpaid(one) or item["current_period_start"])
            assert began is not None
            is_given = one["status"] in ("active", "trialing") or (
                one["status"] == "past_due" and self.now < began + DRAFT + GRACE
            )
            if is_given and not self._is_at_rest(one):
                given.append(plans[item["price"]["product"]].key)
        return max(given, key=lambda key: Plan.objects.get(key=key).position)

    def _oldest_unpaid(self, one: dict[str, Any]) -> int | None:
        """When the renewals began of which none has been paid since."""
        renewals = [
            bill
            for bill in self.theirs("/v1/invoices", subscription=one["id"])
            if bill["billing_reason"] == "subscription_cycle"
        ]
        paid = max((bill["created"] for bill in renewals if bill["status"] == "paid"), default=0)
        unpaid = [bill["created"] for bill in renewals if bill["status"] == "open" and bill["created"] > paid]
        return min(unpaid, default=None)

    def _is_at_rest(self, one: dict[str, Any]) -> bool:
        """Whether the money of any bill that pays for the present period went back."""
        bills = [bill["id"] for bill in self.theirs("/v1/invoices") if self._pays_for_present(bill, one)]
        return any(map(self._is_given_back, {one["latest_invoice"], *bills}))

    @staticmethod
    def _pays_for_present(bill: dict[str, Any], one: dict[str, Any]) -> bool:
        ends = max(line["period"]["end"] for line in bill["lines"]["data"])
        is_its = bill["parent"]["subscription_details"]["subscription"] == one["id"]
        return bool(is_its and ends > one["items"]["data"][0]["current_period_start"])

    def _charges(self, invoice_id: str) -> list[dict[str, Any]]:
        payments = self._listed("/v1/invoice_payments", invoice=invoice_id)
        intents = {payment["payment"]["payment_intent"] for payment in payments if payment["status"] == "paid"}
        return [charge for intent in intents for charge in self._listed("/v1/charges", payment_intent=intent)]

    def _is_given_back(self, invoice_id: str) -> bool:
        charges = [charge for charge in self._charges(invoice_id) if charge["paid"]]
        is_contested = any(dispute["status"] != "won" for dispute in self._disputes(charges))
        return is_contested or (bool(charges) and all(charge["refunded"] for charge in charges))

    def _disputes(self, charges: list[dict[str, Any]]) -> list[dict[str, Any]]:
        contested = [charge["id"] for charge in charges if charge["disputed"]]
        return [dispute for charge in contested for dispute in self._listed("/v1/disputes", charge=charge)]

    # What is compared ----------------------------------------------------------------------------------------------

    @invariant()
    def nothing_differs(self) -> None:
        there = {one["id"]: self._of_stripe(one) for one in self.theirs("/v1/subscriptions", status="all")}
        here = {row.pk: self._of_ours(row) for row in Subscription.objects.filter(customer__user=self.user)}
        there = {key: value for key, value in there.items() if key in here or value["status"] in OPEN}
        assert here == there
        billed = {
            one["id"]: (one["status"], one["total"], one["amount_paid"], sum(self._refunds(one["id"])))
            for one in self.theirs("/v1/invoices")
        }
        known = {
            row.pk: (row.status, row.total, row.amount_paid, row.amount_refunded)
            for row in Invoice.objects.filter(customer__user=self.user)
        }
        assert known == billed
        assert entitlement_of(self.user, now=self.now).plan_key == self.owed()
        newest = EntitlementChange.objects.filter(user=self.user).order_by("-id").first()
        assert (newest.to_plan if newest else "free") == self.owed()

    def _refunds(self, invoice_id: str) -> list[int]:
        return [charge["amount_refunded"] for charge in self._charges(invoice_id)]

    @staticmethod
    def _of_stripe(one: dict[str, Any]) -> dict[str, Any]:
        item = one["items"]["data"][0]
        return {
            "status": one["status"],
            "price": item["price"]["id"],
            "quantity": item["quantity"],
            "period": (moment(item["current_period_start"]), moment(item["current_period_end"])),
            "trial": moment(one["trial_end"]),
            "ends": moment(one["cancel_at"] or (item["current_period_end"] if one["cancel_at_period_end"] else None)),
            "schedule": one["schedule"] or "",
            "bill": one["latest_invoice"],
        }

    @staticmethod
    def _of_ours(row: Subscription) -> dict[str, Any]:
        return {
            "status": row.status,
            "price": row.price_id,
            "quantity": row.quantity,
            "period": (row.period_start, row.period_end),
            "trial": row.trial_end,
            "ends": row.cancels_at,
            "schedule": row.schedule_id,
            "bill": row.latest_invoice_id,
        }

    # How we hear ---------------------------------------------------------------------------------------------------

    def _passes(self, seconds: float) -> datetime:
        answer = httpx.post(f"{self.url}/_ctl/time", json={"seconds": round(seconds)}, timeout=120)
        return datetime.fromtimestamp(answer.json()["now"], tz=UTC)

    def hears(self, order: random.Random) -> None:
        """Every event since the last time, in any order, some twice."""
        self.now = self._passes(0)
        events = list(stripe.events(created_since=self.heard_until - timedelta(seconds=1)))
        events += order.sample(events, len(events) // 3)
        order.shuffle(events)
        for event in events:
            webhooks.store(event, body=b"", source="webhook", now=self.now)
            if order.random() < 0.3:
                webhooks.process_waiting(now=lambda: self.now, at_most=2)
        while webhooks.process_waiting(now=lambda: self.now):
            pass
        self.heard_until = self.now

    @rule(
        chance=chances,
        offer=st.sampled_from([(plan, interval) for plan in ("plus", "team", "pro") for interval in ("month", "year")]),
        quantity=st.integers(1, 4),
        card=st.sampled_from([PAID, PAID, FAILS_WHEN_CHARGED]),
        fails=st.sampled_from(["declined", "challenge", "leaves"]),
        is_clicked_twice=st.booleans(),
        is_won=st.booleans(),
        act=st.sampled_from(["end", "cancel", "seats"]),
        days=st.sampled_from([0.01, 1, 4, 8, 31, 370]),
        order=chances,
    )
    def something_happens(self, chance: random.Random, **how: Any) -> None:
        """One deed of those that can be now, each as likely."""
        for can_be, happens in chance.sample(DEEDS, len(DEEDS)):
            if can_be(self):
                note(happens.__name__)
                wanted = inspect.signature(happens).parameters
                happens(self, **{name: value for name, value in how.items() if name in wanted})
                return

    # What people do ------------------------------------------------------------------------------------------------

    @initialize(trial_days=st.sampled_from([0, 0, 7]), order=chances)
    def comes(self, trial_days: int, order: random.Random) -> None:
        """Whoever came before goes: else all their renewals would be heard of in every journey after theirs."""
        Plan.objects.exclude(key="free").update(trial_days=trial_days)
        TrialMemory.objects.all().delete()  # whoever came before paid with the same card
        for others in Subscription.objects.open():
            self.api.delete(f"/v1/subscriptions/{others.pk}").raise_for_status()
        self.hears(order)

    @deed(lambda self: checkout.open_subscription(self.user) is None)
    def buys(self, offer: tuple[str, str], quantity: int, card: str, order: random.Random) -> None:
        may_try = checkout.may_try(self.user, price(*offer))
        assert may_try == (Plan.objects.get(key=offer[0]).trial_days > 0 and not self.has_tried)
        page = open_checkout(self.user, price=price(*offer), quantity=quantity, now=self.now)
        answer = pay(page, card)
        if card == FAILS_WHEN_CHARGED and not may_try:
            assert answer.status_code == 402
            answer = pay(page, PAID)
        bought = come_back_at(self.user, answer, self.now)
        assert bought is not None
        assert bought.status == ("trialing" if may_try else "active")
        self.has_tried = self.has_tried or may_try
        self.nothing_differs()
        self.hears(order)

    @deed(lambda self: checkout.open_subscription(self.user) is None)
    def fails_to_buy(self, offer: tuple[str, str], fails: str, order: random.Random) -> None:
        page = open_checkout(self.user, price=price(*offer), now=self.now)
        if fails == "declined":
            assert pay(page, DECLINED).status_code == 402
        elif fails == "challenge":
            pay(page, CHALLENGED)
            assert "location" not in pay(page, CHALLENGED, challenge="fail").headers
        self.hears(order)

    @deed(lambda self: self.may_change)
    def changes(self, offer: tuple[str, str], quantity: int, is_clicked_twice: bool, order: random.Random) -> None:
        wanted = {"subscription": self.subscription, "price": price(*offer), "quantity": quantity}
        before = len(self.theirs("/v1/invoices"))
        wish = uuid.uuid4()
        code = ""
        try:
            shown = subscriptions.preview(**wanted, now=self.now)
            for _click in range(1 + is_clicked_twice):
                subscriptions.change(**wanted, wish_id=wish, at=self.now, now=self.now)
        except subscriptions.CannotChange as refused:
            code = refused.code
        else:
            self._is_billed_as_shown(shown, before)
        assert code in ("", "same", "card_declined", "given_back", "cancelled")
        self.nothing_differs()
        self.hears(order)

    def _is_billed_as_shown(self, shown: subscriptions.Change, before: int) -> None:
        bills = self.theirs("/v1/invoices")
        if shown.direction == subscriptions.Direction.UP and self.subscription.price_id == shown.price.stripe_price_id:
            assert len(bills) == before + 1
            assert bills[-1]["amount_due"] == shown.due
        elif shown.direction == subscriptions.Direction.DOWN:
            assert len(bills) == before
            assert self.subscription.next_price_id == shown.price.stripe_price_id

    @deed(lambda self: self.may_change)
    def cancels(self, order: random.Random) -> None:
        row = self.subscription
        is_at_rest = self._is_at_rest(self.api.get(f"/v1/subscriptions/{row.pk}").json())
        subscriptions.cancel(subscription=row, reason="unused", comment="", wish_id=uuid.uuid4(), now=self.now)
        row.refresh_from_db()
        assert row.status == "canceled" if is_at_rest else row.cancels_at == row.period_end
        self.nothing_differs()
        self.hears(order)

    @deed(lambda self: self.may_change)
    def takes_it_back(self, order: random.Random) -> None:
        subscriptions.resume(subscription=self.subscription, wish_id=uuid.uuid4(), now=self.now)
        self.nothing_differs()
        self.hears(order)

    @deed(lambda self: Invoice.objects.filter(customer__user=self.user, amount_paid__gt=0).exists())
    def is_refunded(self, order: random.Random) -> None:
        bill = Invoice.objects.filter(customer__user=self.user, amount_paid__gt=0).order_by("-created_at").first()
        assert bill is not None
        paid_for = Subscription.objects.get(pk=bill.subscription_id)
        code = ""
        for _time in range(2):
            try:
                subscriptions.refund(invoice_id=bill.pk, subscription=paid_for, why="asked", now=self.now)
            except subscriptions.CannotChange as refused:
                code = refused.code
        assert code in ("", "charge_disputed")
        self.nothing_differs()
        self.hears(order)

    @deed(lambda self: checkout.open_subscription(self.user) is not None)
    def gives_another_card(self, card: str, order: random.Random) -> None:
        flow = "payment_method_update"
        address = checkout.portal(user=self.user, wish_id=uuid.uuid4(), flow=flow, now=self.now)
        httpx.post(address, data={"action": "card", "number": card, "expiry": "12/60", "cvc": "123"}, timeout=60)
        self.hears(order)

    # What others do ------------------------------------------------------------------------------------------------

    @deed(lambda self: bool(self._disputable()))
    def goes_to_the_bank(self, order: random.Random) -> None:
        assert httpx.post(f"{self.url}/_ctl/disputes/{self._disputable()[-1]}", timeout=60).status_code == 200
        self.hears(order)

    @deed(lambda self: bool(self._undecided()))
    def the_bank_decides(self, is_won: bool, order: random.Random) -> None:
        address = f"{self.url}/_ctl/disputes/{self._undecided()[0]}/decide"
        assert httpx.post(address, json={"won": is_won}, timeout=60).status_code == 200
        self.hears(order)

    def _undecided(self) -> list[str]:
        disputes = self._disputes(self.theirs("/v1/charges"))
        return [dispute["id"] for dispute in disputes if dispute["status"] == "needs_response"]

    def _disputable(self) -> list[str]:
        charges = self.theirs("/v1/charges")
        return [one["id"] for one in charges if one["paid"] and not one["disputed"] and not one["refunded"]]

    @deed(lambda self: self.may_change)
    def staff_use_stripes_dashboard(self, act: str, quantity: int, order: random.Random) -> None:
        row = self.subscription
        address = f"/v1/subscriptions/{row.pk}"
        if act == "end":
            self.api.delete(address).raise_for_status()
        elif not row.schedule_id:
            seats_now = {"items[0][id]": row.item_id, "items[0][quantity]": quantity, "proration_behavior": "none"}
            self.api.post(address, data=seats_now if act == "seats" else {"cancel_at_period_end": "true"})
        self.hears(order)

    @deed()
    def time_passes(self, days: float, order: random.Random) -> None:
        whole, rest = divmod(days, DAYS_THAT_EVENTS_ARE_TOLD - 1)
        for part in [DAYS_THAT_EVENTS_ARE_TOLD - 1] * int(whole) + [rest]:
            self.now = self._passes(timedelta(days=part).total_seconds())
            self.hears(order)
        entitlements.record_changes_by_time(now=self.now)

    @deed()
    def night_comes(self) -> None:
        """Reconciliation finds nothing of this person's; nobody told us how the months went by for others."""
        found = {drift.object_id for drift in reconciliation.reconcile(now=self.now)}
        mine = Subscription.objects.filter(customer__user=self.user).values_list("pk", flat=True)
        bills = Invoice.objects.filter(customer__user=self.user).values_list("pk", flat=True)
        assert not found & {str(self.user.pk), *mine, *bills}


def come_back_at(user: User, answer: httpx.Response, now: datetime) -> Subscription | None:
    session_id = answer.headers["location"].partition("session_id=")[2]
    return checkout.complete(user=user, session_id=session_id, now=now)


def test_whatever_people_do_our_rows_are_what_stripe_has(at_simulated_stripe: str) -> None:
    Journey.url = at_simulated_stripe
    run_state_machine_as_test(
        Journey,
        settings=settings(
            max_examples=JOURNEYS,
            stateful_step_count=STEPS,
            phases=[Phase.generate],  # each step asks another process: shrinking would take an hour
            deadline=None,
            database=None,
            derandomize="JOURNEYS" not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )
