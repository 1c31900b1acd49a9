"""Events from the simulated Stripe through every fault a network and a machine can have: entitlements end up true.

Customers change plans at the simulated Stripe while its clock runs and their events are delivered duplicated, out of
order, hours late, lost, forged, stale; while the database and Stripe fail; while workers die, and the web process
between its commit and its answer; and while answers overtake each other. Nothing may be wrong when all is delivered,
and after reconciliation nothing may be wrong even if events are lost.
`FAULT_EVENTS` (per seed) and `FAULT_SEEDS` scale it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from stripe import WebhookSignature

from billing import commands, mirror, reconciliation, stripe, webhooks
from billing.models import EntitlementChange, Invoice, StripeCommand, StripeEvent
from tests.faults.billing.bad_day import ATTEMPTS, Crash, World, choose
from tests.stack.processes import ROOT, environment_of_processes
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = int(os.environ.get("FAULT_EVENTS", "50"))
SEEDS = range(int(os.environ.get("FAULT_SEEDS", "1")))
# Stripe's clock goes on some hours so often: ten days at most, which is less than reconciliation looks back.
EVENTS_BETWEEN_HOURS = max(5, EVENTS // 100)
HOURS_THAT_PASS, HOURS_LATE = (1, 5), (2, 12)
OLD_SECRET, NEW_SECRET = "whsec_faults_old", "whsec_faults_new"

# How one delivery goes wrong; the weights are chances in a hundred, the rest is delivered as it should be.
DELIVERY_FAULTS = {
    "duplicate": 15,
    "reorder": 10,
    "delay": 10,
    "tamper": 3,
    "wrong secret": 3,
    "stale timestamp": 3,
    "future timestamp": 3,
    "database down": 5,
    "crash between commit and answer": 5,
    "old resend": 5,
    "new secret": 5,
    "other version": 3,
    "thin": 8,
}
# How one fetch from Stripe goes wrong: the worker dies, or the simulated Stripe does what it is told to.
FETCH_FAULTS = {
    "crash in work": 8,
    "slow_read": 25,
    "unavailable": 8,
    "lost_response": 8,
    "rate_limited": 8,
    "reset": 8,
}
BAD_SIGNATURES = {"tamper", "wrong secret", "stale timestamp", "future timestamp"}


@pytest.fixture(autouse=True)
def _settings(settings, at_simulated_stripe):
    settings.STRIPE_WEBHOOK_SECRET = f"{OLD_SECRET},{NEW_SECRET}"


def is_stored(**wanted):
    """For threads, whose connection nobody else would give back."""
    try:
        return StripeEvent.objects.filter(**wanted).exists()
    finally:
        connection.close()


class Postman:
    """Delivers events to the endpoint the way a bad day would, and again until the answer is 200."""

    def __init__(self, rng, loses, endpoint, down, dying):
        self.rng, self.loses = rng, loses
        self.endpoint, self.down, self.dying = endpoint, down, dying
        self.met, self.lock, self.old, self.held = Counter(), threading.Lock(), [], []

    def held_until(self, moment):
        """Those that are hours late, and no longer."""
        with self.lock:
            due = [event for at, event in self.held if at <= moment]
            self.held = [(at, event) for at, event in self.held if at > moment]
        return due

    def deliver_late(self, event):
        is_overtaken = is_stored(occurred_at__gt=datetime.fromtimestamp(event["created"], tz=UTC))
        with self.lock:
            self.met["overtaken while late"] += is_overtaken
        self.post_until_heard(event, "")

    def deliver(self, event):
        with self.lock:
            fault = choose(DELIVERY_FAULTS, self.rng)
            is_lost = self.loses and self.rng.random() < 0.03
            pause, late = self.rng.random() * 0.2, timedelta(hours=self.rng.randint(*HOURS_LATE))
            self.met["lost" if is_lost else fault] += 1
            self.old.append(event)
            older = self.rng.choice(self.old)
            if fault == "delay" and not is_lost:
                self.held.append((datetime.fromtimestamp(event["created"], tz=UTC) + late, event))
        if is_lost or fault == "delay":
            return
        if fault == "reorder":
            time.sleep(pause)
        if fault == "crash between commit and answer":
            self.dying.take(event["id"], *self.signed(event))
        if fault in BAD_SIGNATURES | {"database down"}:
            status = self.post(event, fault)
            assert status == (503 if fault == "database down" else 400), (fault, status)
        for _time in range(2 if fault == "duplicate" else 1):
            self.post_until_heard(event, fault if fault in ("new secret", "other version", "thin") else "")
        if fault == "old resend":
            self.post_until_heard(older, "")

    def post_until_heard(self, event, fault):
        """As Stripe does: a database that is down is so for all events that are stored together."""

        def is_heard():
            status = self.post(event, fault)
            assert status in (200, 503)
            return status == 200

        wait_until(is_heard, what="the database stays down")

    def signed(self, event):
        body = json.dumps(event)
        return body, WebhookSignature.generate_signature_header(body, OLD_SECRET, int(time.time()))

    def post(self, event, fault):
        if fault == "other version":
            event = {**event, "api_version": "2020-08-27"}
        if fault == "thin":
            subject = event["data"]["object"]
            related = {"id": subject.get("id"), "type": subject["object"], "url": "/v1/x"}
            event = {"id": event["id"], "object": "v2.core.event", "type": f"v1.{event['type']}",
                     "created": timezone.now().isoformat(), "related_object": related}  # fmt: skip
        body = json.dumps(event)
        secret = {"wrong secret": "whsec_of_somebody", "new secret": NEW_SECRET}.get(fault, OLD_SECRET)
        shift = {"stale timestamp": -1000, "future timestamp": 1000}.get(fault, 0)
        signature = WebhookSignature.generate_signature_header(body, secret, int(time.time()) + shift)
        if fault == "tamper":
            body = body.replace('"id"', '"Id"', 1)
        if fault != "database down":
            return self.endpoint(body.encode(), signature)
        self.down.add(event["id"])
        try:
            return self.endpoint(body.encode(), signature)
        finally:
            self.down.discard(event["id"])


class Dying:
    """A web process that is killed between its commit and its answer, and the one that comes after it."""

    def __init__(self, folder):
        self.folder, self.lock = folder, threading.Lock()
        wait_until(lambda: (folder / "port").exists() and (folder / "port").read_text(), seconds=60)
        self.url = f"http://127.0.0.1:{(folder / 'port').read_text()}/billing/webhook"

    def take(self, event_id, body, signature):
        """Nobody answers, yet it is stored; the next process says that it is known."""
        given = {"content": body, "headers": {"stripe-signature": signature}, "timeout": 60}
        with self.lock:
            (self.folder / event_id).touch()
            with pytest.raises(httpx.TransportError):
                httpx.post(self.url, **given)
            again = httpx.post(self.url, **given)
        assert not (self.folder / event_id).exists()
        assert is_stored(stripe_id=event_id)
        assert (again.status_code, again.text) == (200, "Known.")


@pytest.fixture
def dying(tmp_path, transactional_db):
    environment = {**environment_of_processes(), "STRIPE_WEBHOOK_SECRET": f"{OLD_SECRET},{NEW_SECRET}"}
    command = [sys.executable, "-m", "tests.faults.billing.dying_endpoint", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    yield Dying(tmp_path)
    process.kill()
    process.wait()


@pytest.fixture
def down(monkeypatch):
    """Ids of the events for which, and for all that are stored together with them, the database is down."""
    ids, real = set(), webhooks.store_together

    def store_together(deliveries):
        if any(delivery.event.id in ids for delivery in deliveries):
            raise OperationalError("the database is down")
        return real(deliveries)

    monkeypatch.setattr(webhooks, "store_together", store_together)
    return ids


@pytest.fixture
def bad_fetches(monkeypatch):
    """Before a subscription or an invoice is fetched, the simulated Stripe is told how it is to go wrong."""
    met, lock = Counter(), threading.Lock()
    is_bad = threading.Event()

    def spoil(name, path, world, rng):
        real = getattr(stripe, name)

        def fetch(object_id):
            with lock:
                fault = choose(FETCH_FAULTS, rng) if is_bad.is_set() else "none"
                seconds, times = rng.random() * 0.3, rng.choice(ATTEMPTS)
                met[fault] += 1
            if fault == "crash in work":
                raise Crash
            if fault == "slow_read":
                world.arm(fault, f"{path}/{object_id}", "GET", seconds=seconds)
            elif fault != "none":
                world.arm(fault, f"{path}/{object_id}", "GET", times=times)
            return real(object_id)

        monkeypatch.setattr(stripe, name, fetch)

    def start(world, rng):
        spoil("retrieve_subscription", "/v1/subscriptions", world, rng)
        spoil("retrieve_invoice", "/v1/invoices", world, rng)
        is_bad.set()
        return met, is_bad

    return start


def work(stop, world):
    """A worker that is started again whenever it dies. Its clock runs fast, so that retries come soon."""

    def hours_later():
        return world.now() + timedelta(hours=7)

    while not stop.is_set():
        try:
            if not webhooks.process_waiting(now=hours_later, at_most=20) + commands.run_waiting(now=hours_later()):
                time.sleep(0.02)
        except Crash:
            pass
        finally:
            connection.close()


def wait_until_all_are_worked_off():
    """However many there are: ten thousand take longer than any fixed time, but no minute passes without one less."""
    waiting = StripeEvent.objects.filter(state="waiting")
    while left := waiting.count():
        wait_until(lambda left=left: waiting.count() < left, seconds=60, what=f"{left} events stayed waiting")


@pytest.mark.parametrize("loses", [False, True], ids=["nothing lost", "some lost"])
@pytest.mark.parametrize("seed", SEEDS)
def test_entitlements_are_true_in_the_end(stripe_url, bad_fetches, post, down, dying, seed, loses, capsys):
    rng = random.Random(seed)
    world, postman = World(stripe_url, rng), Postman(rng, loses, post, down, dying)
    met, is_bad = bad_fetches(world, rng)
    stop = threading.Event()

    workers = [threading.Thread(target=work, args=[stop, world]) for _ in range(3)]
    [worker.start() for worker in workers]
    try:
        with ThreadPoolExecutor(6) as pool:
            sent, hours_pass_at = [], EVENTS_BETWEEN_HOURS
            while len(sent) < EVENTS:
                world.act()
                if len(sent) >= hours_pass_at:
                    hours_pass_at += EVENTS_BETWEEN_HOURS
                    world.let_pass(rng.randint(*HOURS_THAT_PASS))
                sent += [pool.submit(postman.deliver, event) for event in world.new_events()]
                sent += [pool.submit(postman.deliver_late, event) for event in postman.held_until(world.now())]
            [delivery.result() for delivery in sent]
        is_bad.clear()
        httpx.delete(f"{stripe_url}/_ctl/faults").raise_for_status()
        world.let_pass(HOURS_LATE[-1] + 1)
        [postman.deliver(event) for event in world.after_the_last_wish()]
        # However few there were: what is late comes after something newer.
        while not (newer := world.after_the_last_wish()):
            world.act()
        [postman.post_until_heard(event, "") for event in newer]
        [postman.deliver_late(event) for event in postman.held_until(datetime.max.replace(tzinfo=UTC))]
        wait_until_all_are_worked_off()
    finally:
        stop.set()
        [worker.join() for worker in workers]
    assert not StripeEvent.objects.filter(state__in=["waiting", "dead"]).exists()
    before = world.wrong()
    found = reconciliation.reconcile(now=world.now())
    if not loses:
        assert (before, found) == ([], [])
    assert world.wrong() == []
    assert reconciliation.reconcile(now=world.now()) == []
    assert postman.met["overtaken while late"] or postman.met["delay"] < 3
    for user in world.people:
        newest = EntitlementChange.objects.filter(user=user).order_by("-id").first()
        assert (newest.to_plan if newest else "free") == world.truth(user)
        ours = Invoice.objects.filter(customer__user=user).values_list("pk", "status", "total", "amount_paid")
        assert {key: tuple(rest) for key, *rest in ours} == world.bills(user)
    assert not StripeCommand.objects.filter(state="waiting").exists()
    with capsys.disabled():
        faults = ", ".join(
            f"{name} {count}" for name, count in sorted((postman.met + met + world.met).items()) if name != "none"
        )
        print(f"\n{len(sent)} events, {len(before)} wrong before reconciliation, 0 after; {faults}")  # noqa: T201


def test_the_fence_is_what_keeps_an_overtaken_answer_out(stripe_url, monkeypatch):
    """The same faults without the fence do go wrong: the test above can fail."""
    world = World(stripe_url, random.Random(7))
    user = world.people[0]
    webhooks.backfill(now=timezone.now())
    webhooks.process_waiting(now=timezone.now)
    assert world.wrong() == []
    subscription_id = world.living(user)["id"]
    slow = mirror.begin_fetch(cause="slow", now=timezone.now())
    stale = stripe.retrieve_subscription(subscription_id)
    world.api.delete(f"/v1/subscriptions/{subscription_id}")
    mirror.refresh_subscription(subscription_id, cause="quick", now=timezone.now())
    mirror.save_subscription(stale, slow)
    assert world.wrong() == []
    mirror.save_subscription(stale, mirror.begin_fetch(cause="no fence", now=timezone.now()))
    assert world.wrong() == [("free", "plus")]
