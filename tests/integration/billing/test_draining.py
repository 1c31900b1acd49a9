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


def arrive(number):
    event = stripe.EventFacts(f"evt_{number}", "customer.updated", "customer", f"cus_{number}", "", timezone.now())
    webhooks.store(event, body=b"", source="webhook", now=timezone.now())


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


def drain():
    try:
        return draining.drain(now=timezone.now)
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


def test_turns_come_no_faster_than_the_pace():
    pace = draining.Pace(a_second=200, burst=5)
    began = time.monotonic()
    for _turn in range(25):
        pace.wait()
    assert time.monotonic() - began >= 19 / 200
