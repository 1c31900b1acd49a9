"""Customers on a bad day: what they do at Stripe while it fails, and the truth that Stripe knows of them."""

from __future__ import annotations

import uuid
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx
from django.utils import timezone

from billing import checkout, stripe, subscriptions
from billing.entitlements import entitlement_of
from billing.models import Price, StripeCommand, Subscription
from billing.stripe import client as sdk
from tests.stack.customers import newcomer, open_checkout, pay
from tests.stack.simulated_stripe import KEY
from tests.waiting import wait_until

PEOPLE = 6
# How a wish of a customer goes wrong that is sent through us.
WISH_FAULTS = {"error_after_commit": 10, "lost_response": 10, "unavailable": 10, "lock_timeout": 10}
# As often as the SDK asks: less, and nobody but the SDK notices.
ATTEMPTS = (1, 3, 3)


class Crash(BaseException):
    """A worker ends here; nothing catches it."""


def choose(weights, rng):
    names = [*weights, "none"]
    return rng.choices(names, [*weights.values(), 100 - sum(weights.values())])[0]


class World:
    """The customers, what they do at Stripe, and the truth that Stripe knows."""

    def __init__(self, url, rng):
        self.url, self.rng, self.ahead = url, rng, timedelta(0)
        self.let_pass(hours=0)
        self.api = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
        self.people = [newcomer() for _ in range(PEOPLE)]
        self.seen, self.met = {event["id"] for event in self._events()}, Counter()
        self.prices = {
            row.plan_id: row.stripe_price_id for row in Price.objects.filter(interval="month", currency="usd")
        }
        for user in self.people:
            self.buy(user)

    def now(self):
        """By Stripe's clock, which everybody goes by."""
        return timezone.now() + self.ahead

    def let_pass(self, hours):
        answer = httpx.post(f"{self.url}/_ctl/time", json={"seconds": hours * 3600}, timeout=120)
        self.ahead = datetime.fromtimestamp(answer.json()["now"], tz=UTC) - timezone.now()

    def buy(self, user):
        answer = pay(open_checkout(user, now=self.now()))
        assert answer.status_code in (302, 303), answer.text

    def living(self, user):
        listed = self.api.get("/v1/subscriptions", params={"customer": user.customer.stripe_id}).json()["data"]
        return next((row for row in listed if row["status"] in ("active", "trialing")), None)

    def arm(self, kind, path, method, **how):
        fault = {"kind": kind, "path": path, "method": method, "times": 1, **how}
        httpx.post(f"{self.url}/_ctl/faults", json=fault, timeout=30).raise_for_status()

    def act(self):
        """One customer changes something at Stripe, by its API or through us; a fault armed for us may meet the API."""
        user = self.rng.choice(self.people)
        row = self.living(user)
        if row is None:
            # We have not heard yet that the last one ended, or our process dies while it asks.
            with suppress(checkout.CannotCheckOut, stripe.StripeUnavailable, Crash):
                self.buy(user)
            return
        address, item = f"/v1/subscriptions/{row['id']}", row["items"]["data"][0]
        deed = self.rng.random()
        if deed < 0.15:
            self.api.delete(address).raise_for_status()
        elif deed < 0.35:
            self.wish(user, row, address)
        elif deed < 0.5:
            waiting = str(not row["cancel_at_period_end"]).lower()
            self.post(address, {"cancel_at_period_end": waiting})
        else:
            other = self.rng.choice([key for key in self.prices.values() if key != item["price"]["id"]])
            change = {"items[0][id]": item["id"], "items[0][price]": other, "proration_behavior": "always_invoice"}
            self.post(address, change)

    def post(self, address, change):
        with suppress(httpx.HTTPError):
            self.api.post(address, data=change)

    def wish(self, user, row, address):
        """What is wished through us is done once or not at all, whatever is answered. Nobody is told to try again."""
        fault = choose(WISH_FAULTS, self.rng)
        self.met[f"wish: {fault}"] += 1
        if fault != "none":
            self.arm(fault, address, "POST", times=self.rng.choice(ATTEMPTS))
        known = Subscription.objects.filter(pk=row["id"]).select_related("plan", "customer").first()
        if known is None:
            return
        now, wish_id = self.now(), uuid.uuid4()
        with suppress(subscriptions.CannotChange, stripe.StripeUnavailable, stripe.StripeRefused, Crash):
            if known.cancels_at:
                subscriptions.resume(subscription=known, wish_id=wish_id, now=now)
            elif known.plan_id == "plus":
                pro = Price.objects.get(plan="pro", interval="month", currency="usd")
                subscriptions.change(subscription=known, price=pro, quantity=1, wish_id=wish_id, at=now, now=now)
            else:
                how = {"reason": "unused", "comment": "", "wish_id": wish_id, "now": now}
                subscriptions.cancel(subscription=known, **how)

    def bills(self, user):
        """What Stripe says of each invoice of theirs."""
        bills = sdk.pages(sdk.api().invoices.list, {"customer": user.customer.stripe_id, "limit": 100})
        return {bill.id: (bill.status, bill.total, bill.amount_paid) for bill in bills}

    def after_the_last_wish(self):
        """The events of what we had still to ask of Stripe."""
        waiting = StripeCommand.objects.filter(state="waiting")
        wait_until(lambda: not waiting.exists(), seconds=120, what="commands stayed waiting")
        return self.new_events()

    def new_events(self):
        """Oldest first, each once."""
        fresh = [event for event in self._events() if event["id"] not in self.seen]
        self.seen |= {event["id"] for event in fresh}
        return fresh[::-1]

    def _events(self):
        found, after = [], {}
        while True:
            page = self.api.get("/v1/events", params={"limit": 100, **after}).json()
            found += page["data"]
            if not page["has_more"] or (found and found[-1]["id"] in getattr(self, "seen", ())):
                return found
            after = {"starting_after": found[-1]["id"]}

    def truth(self, user):
        row = self.living(user)
        if row is None:
            return "free"
        return next(key for key, price in self.prices.items() if price == row["items"]["data"][0]["price"]["id"])

    def wrong(self):
        now = self.now()
        pairs = [(self.truth(user), entitlement_of(user, now=now).plan_key) for user in self.people]
        return [pair for pair in pairs if pair[0] != pair[1]]
