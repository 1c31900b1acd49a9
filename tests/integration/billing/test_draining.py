"""A worker has few threads at the events however many wake-ups come, and what comes meanwhile is not left behind."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from billing import draining, stripe, webhooks
from billing.models import StripeEvent

pytestmark = pytest.mark.django_db(transaction=True)


def arrive(number, kind="customer.updated", about=None):
    long_ago = timezone.now() - webhooks.UNTIL_FOUND
    event = stripe.EventFacts(f"evt_{number}", kind, "customer", f"cus_{about or number}", "", long_ago)
    webhooks.store(event, body=b"{}", source="webhook", now=timezone.now())


@pytest.fixture
def asked(monkeypatch, alone):
    """Stripe knows no customer, and answers only when the gate is open; how often it is being asked, in `asking`."""

    class Asked:
        asking = threading.Semaphore(0)
        gate = threading.Event()

    def retrieve(_customer_id):
        Asked.asking.release()
        assert Asked.gate.wait(60)
        raise stripe.StripeRefused("No such customer", code="resource_missing")

    monkeypatch.setattr(stripe, "retrieve_customer", retrieve)
    return Asked


def drain(work=draining.drain, **given):
    try:
        return work(now=timezone.now, **given)
    finally:
        connection.close()


def test_more_wake_ups_than_threads_end_at_once_and_nothing_is_left(asked):
    for number in range(draining.THREADS + 2):
        arrive(number)
    with ThreadPoolExecutor(draining.THREADS) as pool:
        busy = [pool.submit(drain) for _number in range(draining.THREADS)]
        for _number in range(draining.THREADS):
            assert asked.asking.acquire(timeout=60)
        arrive("late")
        assert drain() == 0  # though there is work: every place is taken
        asked.gate.set()
        assert sum(task.result() for task in busy) == draining.THREADS + 3
    assert not StripeEvent.objects.filter(state="waiting").exists()
    assert not StripeEvent.objects.exclude(body=b"").exists()  # what it says of people need not be kept twice


def test_one_fetch_answers_what_had_come_about_its_object_and_nothing_else(asked):
    for kind in ("customer.updated", "v1.customer.created", "customer.updated"):
        arrive(f"{kind}_{StripeEvent.objects.count()}", kind, about="she")
    arrive("of_another_kind", "invoice.paid", about="she")
    arrive("his", about="he")
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(drain, webhooks.process_waiting, at_most=1)
        assert asked.asking.acquire(timeout=60)
        arrive("meanwhile", about="she")
        asked.gate.set()
        assert busy.result() == 1
    left = StripeEvent.objects.filter(state="waiting").values_list("pk", flat=True)
    assert set(left) == {"evt_of_another_kind", "evt_his", "evt_meanwhile"}
    assert not StripeEvent.objects.exclude(state="waiting").exclude(body=b"").exists()


def test_who_fails_leaves_alone_what_another_has_answered_meanwhile(monkeypatch, asked):
    arrive("twice", about="she")
    StripeEvent.objects.update(attempts=StripeEvent.MAX_ATTEMPTS - 1)

    def breaks(_customer_id):
        StripeEvent.objects.update(state="done", finished_at=timezone.now())
        raise stripe.StripeUnavailable("gone")

    monkeypatch.setattr(stripe, "retrieve_customer", breaks)
    webhooks.process_waiting(now=timezone.now)
    event = StripeEvent.objects.get()
    assert (event.state, event.error) == ("done", "")


def test_turns_come_no_faster_than_the_pace():
    pace = draining.Pace(a_second=200, burst=5)
    began = time.monotonic()
    for _turn in range(25):
        pace.wait()
    assert time.monotonic() - began >= 19 / 200
